package segment

import (
	"bytes"
	"errors"
	"math/bits"
	"math/rand/v2"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stratacache/strata/internal/vfs"
)

// aheadOptions are those of a writer that writes ahead.
func aheadOptions(rows []Row) WriterOptions {
	return WriterOptions{ID: 1, Seed: testSeed, Rows: len(rows), GroupRows: 300, Now: 7, Ahead: true, Bytes: 64 << 20}
}

func appendAll(w *Writer, rows []Row) error {
	for i := range rows {
		if err := w.Append(&rows[i]); err != nil {
			return err
		}
	}
	_, err := w.Finish()
	return err
}

func content(t *testing.T, fsys vfs.FS, name string) []byte {
	t.Helper()
	m, err := mapName(fsys, name)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	return bytes.Clone(m.Data)
}

// Writing ahead changes nothing of what is written, whatever the size of rows.
func TestAheadWritesTheSame(t *testing.T) {
	defer goleak.VerifyNone(t)
	sizes := map[string]func(int) int{
		"small": func(i int) int { return i % 300 },
		"mixed": func(i int) int { return []int{10, 70_000, 0, 1024}[i%4] },
		"large": func(i int) int { return []int{1, 0, 12 << 20, 3}[i%1000%4*(i%1000/997)] },
	}
	for name, size := range sizes {
		t.Run(name, func(t *testing.T) {
			rows, _ := testRows(1000, size)
			var files [2][2][]byte
			for n := range files {
				root, err := vfs.OS(t.TempDir())
				if err != nil {
					t.Fatal(err)
				}
				defer root.Close()
				if err := root.MkdirAll("kv"); err != nil {
					t.Fatal(err)
				}
				opts := aheadOptions(rows)
				opts.Ahead = n == 1
				w, err := Create(root, "kv", opts)
				if err != nil {
					t.Fatal(err)
				}
				if err := appendAll(w, rows); err != nil {
					t.Fatal(err)
				}
				files[n] = [2][]byte{content(t, root, Name("kv", 1)), content(t, root, IndexName("kv", 1))}
			}
			if !bytes.Equal(files[0][0], files[1][0]) || !bytes.Equal(files[0][1], files[1][1]) {
				t.Error("the files differ")
			}
		})
	}
}

// A write that fails in the goroutine is the error of Append or of Finish, and
// the goroutine ends with Abort.
func TestAheadFails(t *testing.T) {
	defer goleak.VerifyNone(t)
	rows, _ := testRows(1000, func(int) int { return 5000 })
	for _, op := range []vfs.Op{vfs.OpWrite, vfs.OpSync, vfs.OpTruncate} {
		for nth := int64(1); nth <= 9; nth += 4 {
			boom := errors.New("boom")
			fsys := vfs.Faulty(vfs.Mem(), vfs.FailNth(nth, op, boom, true))
			if err := fsys.MkdirAll("kv"); err != nil {
				t.Fatal(err)
			}
			w, err := Create(fsys, "kv", aheadOptions(rows))
			if err == nil {
				err = appendAll(w, rows)
				w.Abort()
				w.Abort()
			}
			if nth == 1 && !errors.Is(err, boom) {
				t.Errorf("op %v: %v", op, err)
			}
			if err != nil && !errors.Is(err, boom) {
				t.Errorf("op %v, call %d: %v", op, nth, err)
			}
		}
	}
}

// calls notes how far each call of WriteAll reaches.
type calls struct {
	vfs.File
	ends []int64
	end  int64
}

func (c *calls) WriteAll(bufs [][]byte) error {
	for _, b := range bufs {
		c.end += int64(len(b))
	}
	c.ends = append(c.ends, c.end)
	return c.File.WriteAll(bufs)
}

// All but the last call of the system write whole blocks, whatever comes in,
// unless they are made ahead.
func TestBlocks(t *testing.T) {
	rng, noise := rand.New(rand.NewPCG(1, 1)), rand.NewChaCha8([32]byte{1})
	for _, ahead := range []bool{false, true} {
		f, err := vfs.Mem().Create("x")
		if err != nil {
			t.Fatal(err)
		}
		c := &calls{File: f}
		o := newOutput(c, &WriterOptions{Ahead: ahead})
		if ahead {
			o.goAhead()
		}
		want := make([]byte, 0, 24*3*blockBytes)
		page := o.fresh()
		for range 24 {
			p := make([]byte, []int{20, 4096, blockLeast - 1, blockLeast, pageBytes, 3 * blockBytes}[rng.IntN(6)])
			_, _ = noise.Read(p) // it never fails
			want = append(want, p...)
			switch rng.IntN(3) {
			case 0:
				o.Write(p)
			case 1:
				page = o.Hand(append(page[:0], p...), 0)
			default:
				o.Lend(p)
				o.wait()
				clear(p)
			}
		}
		if err := o.sync(); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if n, err := f.ReadAt(got, 0); n < len(want) || !bytes.Equal(got, want) {
			t.Fatalf("ahead %v: other bytes than were written, %d, %v", ahead, n, err)
		}
		for i, end := range c.ends {
			if end%blockBytes != 0 && i < len(c.ends)-1 && !ahead {
				t.Errorf("ahead %v: call %d ends at %d", ahead, i, end)
			}
		}
		if c.end != o.off || int64(len(want)) != o.off {
			t.Errorf("ahead %v: %d bytes written, %d counted", ahead, c.end, o.off)
		}
	}
}

// A writer that is given up half way leaves no goroutine.
func TestAheadAborted(t *testing.T) {
	defer goleak.VerifyNone(t)
	rows, _ := testRows(1000, func(int) int { return 5000 })
	fsys := vfs.Mem()
	if err := fsys.MkdirAll("kv"); err != nil {
		t.Fatal(err)
	}
	w, err := Create(fsys, "kv", aheadOptions(rows))
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if err := w.Append(&rows[i]); err != nil {
			t.Fatal(err)
		}
	}
	w.Abort()
	if left, err := fsys.ReadDir("kv"); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}

// Warm leaves a damaged index to the reads, and checks all of a sound one.
func TestWarm(t *testing.T) {
	rows, _ := testRows(3000, func(int) int { return 100 })
	for _, flip := range []bool{false, true} {
		fsys := vfs.Mem()
		meta := writeRows(t, fsys, 1, rows)
		r, err := Open(fsys, "kv", meta)
		if err != nil {
			t.Fatal(err)
		}
		if flip {
			r.ix = bytes.Clone(r.ix)
			r.ix[r.secs[secRecords].off+5] ^= 1
		}
		r.Warm()
		if r.IndexDamaged() != flip {
			t.Errorf("flip %v: damaged %v", flip, r.IndexDamaged())
		}
		checked := 0
		for i := range r.checked {
			checked += bits.OnesCount64(r.checked[i].Load())
		}
		if want := int(r.secs[secSums].off/pageSize - 1); !flip && checked != want {
			t.Errorf("%d of %d pages are checked", checked, want)
		}
		r.Release()
	}
}

// step is what the steps of Expiry are defined by: half powers of two.
func TestExpirySteps(t *testing.T) {
	slow := func(s int64) int {
		n := 0
		for s > 1 && n < expirySteps-2 {
			if s == 2 || s == 3 {
				return n + 1 + int(s-2)
			}
			s >>= 1
			n += 2
		}
		return n
	}
	var x Expiry
	for s := int64(0); s < 1<<40; s = s*5/4 + 1 {
		if got, want := x.step(s*100_000), slow(s); got != want {
			t.Fatalf("%d: %d, not %d", s, got, want)
		}
	}
	if got := x.step(int64(7258118400 * time.Second / time.Microsecond)); got != slow(72581184000) {
		t.Error(got)
	}
}
