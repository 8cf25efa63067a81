package segment

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/stratacache/strata/internal/vfs"
)

const (
	testSeed  = 42
	testGroup = 2000 // rows in a row group
)

// testRows makes n rows of all sorts, sorted by hash. Some keys need escaping,
// some rows have tags, some are tombstones.
func testRows(n int, size func(i int) int) (rows []Row, keys []string) {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range n {
		key := fmt.Sprintf("key:%d", i)
		switch i % 50 {
		case 7:
			key = fmt.Sprintf("\xff\xfe%d", i)
		case 8:
			key = fmt.Sprintf("\uFFFD%d", i)
		case 9:
			key = fmt.Sprintf("a\x00%d", i)
		}
		value := make([]byte, size(i))
		for j := range value {
			value[j] = byte(rng.Uint32())
		}
		r := Row{
			Hash: HashKey(testSeed, key), Value: value, Version: rng.Uint64(), Codec: []string{"", "json", "msgpack"}[i%3],
			Expires: 7258118400 * 1e6, Fresh: int64(i), Written: int64(1e15 + i),
		}
		var tags []string
		if i%11 == 0 {
			tags = []string{"t", fmt.Sprint("\xff", i)}
		}
		if i%13 == 0 {
			r.Kind, r.Value = KindDeleted, nil
		}
		r.SetKey(key, tags)
		rows, keys = append(rows, r), append(keys, key)
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(a, b int) bool { return rows[order[a]].Hash.Less(rows[order[b]].Hash) })
	r2, k2 := make([]Row, n), make([]string, n)
	for i, o := range order {
		r2[i], k2[i] = rows[o], keys[o]
	}
	return r2, k2
}

func writeRows(t testing.TB, fsys vfs.FS, id uint64, rows []Row) Meta {
	t.Helper()
	_ = fsys.MkdirAll("kv")
	w, err := Create(fsys, "kv", WriterOptions{ID: id, Seed: testSeed, Rows: len(rows) * 3, GroupRows: testGroup, MinSeq: 5, MaxSeq: 9})
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if err := w.Append(&rows[i]); err != nil {
			t.Fatal(err)
		}
	}
	m, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func checkRows(t testing.TB, r *Reader, rows []Row, keys []string) {
	t.Helper()
	for i, key := range keys {
		p := NewProbe(HashKey(testSeed, key))
		if ok, err := r.MayHave(&p); !ok || err != nil {
			t.Fatalf("filter misses %q: %v", key, err)
		}
		l, ok, err := r.Find(&p, key)
		if !ok || err != nil {
			t.Fatalf("%q not found: %v", key, err)
		}
		var it Item
		if err := r.Read(&l, &it); err != nil {
			t.Fatal(err)
		}
		w := &rows[i]
		if !it.Check(it.Value) || !bytes.Equal(it.Value, w.Value) || it.Kind != w.Kind || it.Expires != w.Expires ||
			it.Fresh != w.Fresh || it.Version != w.Version || it.Codec != w.Codec || r.Written(&l) != w.Written {
			t.Fatalf("row %d of %q differs: %+v", i, key, it)
		}
		if k, ok := it.Key(); k != key || !ok || string(it.TagsText) != w.TagsText {
			t.Fatalf("key %q (%v), tags %q; want %q, %q", k, ok, it.TagsText, key, w.TagsText)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	sizes := map[string]struct {
		n    int
		size func(int) int
	}{
		"one":    {1, func(int) int { return 10 }},
		"empty":  {0, nil},
		"mixed":  {5000, func(i int) int { return i % 700 }},
		"large":  {20, func(i int) int { return i * 70_000 }},
		"groups": {testGroup*3 + 1000, func(int) int { return 3 }},
	}
	for name, c := range sizes {
		t.Run(name, func(t *testing.T) {
			fsys := vfs.Mem()
			rows, keys := testRows(c.n, c.size)
			m := writeRows(t, fsys, 7, rows)
			r, err := Open(fsys, "kv", m)
			if err != nil {
				t.Fatal(err)
			}
			checkRows(t, r, rows, keys)
			r.Release()

			before, _ := vfs.ReadFile(fsys, IndexName("kv", 7), 1<<30)
			if err := fsys.Remove(IndexName("kv", 7)); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(fsys, "kv", m); !errors.Is(err, ErrIndex) {
				t.Fatalf("open without an index: %v", err)
			}
			described, seed, err := Describe(fsys, "kv", 7)
			if err != nil || seed != testSeed || described.Rows != m.Rows || described.MaxSeq != m.MaxSeq {
				t.Fatalf("described as %+v, %d, %v", described, seed, err)
			}
			m2, err := Rebuild(fsys, "kv", described)
			if err != nil {
				t.Fatal(err)
			}
			after, _ := vfs.ReadFile(fsys, IndexName("kv", 7), 1<<30)
			if r, err = Open(fsys, "kv", m2); err != nil {
				t.Fatal(err)
			}
			defer r.Release()
			checkRows(t, r, rows, keys)
			if m2.Deleted != m.Deleted || m2.MaxWritten != m.MaxWritten || m2.MaxExpires != m.MaxExpires || len(before) < len(after)/2 {
				t.Errorf("rebuilt meta %+v, was %+v", m2, m)
			}
		})
	}
}

// parquetRow is how another reader sees a row.
type parquetRow struct {
	Value   []byte `parquet:"value"`
	Key     string `parquet:"key"`
	Expires int64  `parquet:"expires_at"`
	Fresh   int64  `parquet:"fresh_until"`
	Written int64  `parquet:"written_at"`
	Version uint64 `parquet:"version"`
	Kind    int32  `parquet:"kind"`
	Codec   string `parquet:"codec"`
	Tags    string `parquet:"tags"`
}

// TestOtherReader reads a segment with parquet-go.
func TestOtherReader(t *testing.T) {
	fsys := vfs.Mem()
	rows, _ := testRows(testGroup*2+500, func(i int) int { return i % 40 })
	m := writeRows(t, fsys, 1, rows)
	data, err := vfs.ReadFile(fsys, Name("kv", 1), 1<<30)
	if err != nil || int64(len(data)) != m.Size {
		t.Fatal(len(data), err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if f.NumRows() != int64(len(rows)) {
		t.Fatalf("%d rows", f.NumRows())
	}
	for i, c := range f.Schema().Columns() {
		if c[0] != columns[i].name {
			t.Errorf("column %d is %s", i, c)
		}
	}
	t.Log(f.Schema())
	rd := parquet.NewGenericReader[parquetRow](f)
	defer rd.Close()
	got := make([]parquetRow, len(rows))
	if n, err := rd.Read(got); n != len(rows) || err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(n, err)
	}
	for i, g := range got {
		w := rows[i]
		if !bytes.Equal(g.Value, w.Value) || g.Key != w.Text || g.Expires != w.Expires || g.Fresh != w.Fresh || g.Written != w.Written ||
			g.Version != w.Version || g.Kind != int32(w.Kind) || g.Codec != w.Codec || g.Tags != w.TagsText {
			t.Fatalf("row %d: %+v, want %+v", i, g, w)
		}
	}
}

func TestFilter(t *testing.T) {
	fsys := vfs.Mem()
	rows, _ := testRows(20000, func(int) int { return 1 })
	r, err := Open(fsys, "kv", writeRows(t, fsys, 1, rows))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	falsePos := 0
	for i := range 100_000 {
		p := NewProbe(HashKey(testSeed, fmt.Sprint("absent", i)))
		if ok, _ := r.MayHave(&p); ok {
			falsePos++
		}
		if _, ok, err := r.Find(&p, fmt.Sprint("absent", i)); ok || err != nil {
			t.Fatal("found an absent key", err)
		}
	}
	if falsePos > 1500 {
		t.Errorf("%d of 100,000 absent keys pass the filter", falsePos)
	}
}

func TestCollision(t *testing.T) {
	fsys := vfs.Mem()
	rows, _ := testRows(2, func(int) int { return 5 })
	rows[1].Hash = rows[0].Hash // as if both keys hashed alike
	r, err := Open(fsys, "kv", writeRows(t, fsys, 1, rows))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	p := NewProbe(rows[0].Hash)
	if _, ok, err := r.Find(&p, "neither"); ok || !errors.Is(err, ErrData) {
		t.Fatalf("a key that does not fit its hash: %v, %v", ok, err)
	}
}

// mutate changes a file in place.
func mutate(rng *rand.Rand, data []byte) []byte {
	out := append([]byte(nil), data...)
	switch rng.IntN(5) {
	case 0:
		out = out[:rng.IntN(len(out)+1)]
	case 1:
		out = append(out, byte(rng.Uint32()))
	case 2:
		at, n := rng.IntN(len(out)), rng.IntN(64)
		for i := at; i < min(at+n, len(out)); i++ {
			out[i] = 0
		}
	default:
		for range 1 + rng.IntN(3) {
			out[rng.IntN(len(out))] ^= 1 << rng.IntN(8)
		}
	}
	return out
}

// TestMutations damages either file: no panic, no wrong value.
func TestMutations(t *testing.T) {
	clean := vfs.Mem()
	rows, keys := testRows(300, func(i int) int { return i })
	m := writeRows(t, clean, 1, rows)
	pq, _ := vfs.ReadFile(clean, Name("kv", 1), 1<<30)
	ix, _ := vfs.ReadFile(clean, IndexName("kv", 1), 1<<30)
	rng := rand.New(rand.NewPCG(7, 7))
	rounds := 600
	if testing.Short() {
		rounds = 100
	}
	for round := range rounds {
		fsys := vfs.Mem()
		_ = fsys.MkdirAll("kv")
		p, x := pq, ix
		if round%2 == 0 {
			p = mutate(rng, pq)
		} else {
			x = mutate(rng, ix)
		}
		_ = vfs.WriteFile(fsys, "kv", "kv/t", Name("kv", 1), p)
		_ = vfs.WriteFile(fsys, "kv", "kv/t", IndexName("kv", 1), x)
		probeAll(t, fsys, m, rows, keys)
		m2 := m
		if d, _, err := Describe(fsys, "kv", 1); err == nil {
			m2 = d
		}
		if m2, err := Rebuild(fsys, "kv", m2); err == nil {
			probeAll(t, fsys, m2, rows, keys)
		}
	}
}

func probeAll(t *testing.T, fsys vfs.FS, m Meta, rows []Row, keys []string) {
	t.Helper()
	r, err := Open(fsys, "kv", m)
	if err != nil {
		return
	}
	defer r.Release()
	for i, key := range keys {
		p := NewProbe(HashKey(testSeed, key))
		l, ok, err := r.Find(&p, key)
		if err != nil {
			continue
		}
		if !ok {
			t.Fatalf("%q is absent without an error", key)
		}
		var it Item
		if err := r.Read(&l, &it); err != nil || !it.Check(it.Value) {
			continue
		}
		w := &rows[i]
		if !bytes.Equal(it.Value, w.Value) || it.Kind != w.Kind || it.Expires != w.Expires || it.Version != w.Version ||
			it.Fresh != w.Fresh || string(it.TagsText) != w.TagsText || it.Codec != w.Codec {
			t.Fatalf("%q: a damaged row passed its check", key)
		}
	}
}

func TestWriterFaults(t *testing.T) {
	rows, _ := testRows(2000, func(int) int { return 1000 })
	for n := int64(1); n < 40; n++ {
		mem := vfs.Mem()
		_ = mem.MkdirAll("kv")
		fsys := vfs.Faulty(mem, vfs.FailNth(n, vfs.OpChange&^vfs.OpRemove, io.ErrShortWrite, true))
		w, err := Create(fsys, "kv", WriterOptions{ID: 1, Rows: len(rows)})
		if err == nil {
			for i := range rows {
				if err = w.Append(&rows[i]); err != nil {
					break
				}
			}
			if err == nil {
				_, err = w.Finish()
			}
			if err == nil {
				return // no fault was left to inject
			}
			w.Abort()
		}
		if list, _ := mem.ReadDir("kv"); len(list) > 0 {
			t.Fatalf("fault %d left %v", n, list[0])
		}
	}
	t.Error("40 faults and still failing")
}
