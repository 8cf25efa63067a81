package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

// open opens a journal and returns the payloads that it replayed.
func open(t testing.TB, fsys vfs.FS, opts Options) (*Journal, []string, Report) {
	t.Helper()
	opts.FS = fsys
	j, err := Open("journal", &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	var got []string
	last := uint64(0)
	rep, err := j.Replay(func(r Record) error {
		if r.Seq <= last {
			t.Errorf("record %d follows %d", r.Seq, last)
		}
		last = r.Seq
		got = append(got, string(r.Payload))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return j, got, rep
}

func add(t testing.TB, j *Journal, payloads ...string) uint64 {
	t.Helper()
	var seq uint64
	for _, p := range payloads {
		var err error
		if seq, err = j.Append(ctx, 1, []byte(p[:len(p)/2]), []byte(p[len(p)/2:])); err != nil {
			t.Fatal(err)
		}
	}
	return seq
}

func want(t testing.TB, got []string, payloads ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(payloads) {
		t.Fatalf("replayed %q, want %q", got, payloads)
	}
}

func TestReplayAfterClose(t *testing.T) {
	for _, sync := range []Sync{SyncInterval, SyncAlways, SyncNever} {
		fsys := vfs.Mem()
		j, _, _ := open(t, fsys, Options{Sync: sync})
		add(t, j, "a", "", "ccc")
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		j, got, rep := open(t, fsys, Options{Sync: sync})
		want(t, got, "a", "", "ccc")
		if rep.Records != 3 || rep.Last != 3 || len(rep.Damage) != 0 {
			t.Fatalf("report %+v", rep)
		}
		if seq := add(t, j, "d"); seq != 4 {
			t.Fatalf("sequence %d after replay, want 4", seq)
		}
		if err := errors.Join(j.Close(), j.Close()); err != nil {
			t.Fatal(err)
		}
		_, got, _ = open(t, fsys, Options{})
		want(t, got, "a", "", "ccc", "d")
	}
}

func TestAppendNeedsReplay(t *testing.T) {
	j, err := Open("j", &Options{FS: vfs.Mem()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(ctx, 1); err == nil {
		t.Error("append before replay worked")
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if _, err := j.Append(ctx, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
}

// TestCrashKeepsAcknowledged appends under SyncAlways, with rotation and reuse
// of files, cuts the power at a random moment and looks for every record whose
// append had returned.
func TestCrashKeepsAcknowledged(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		fsys := vfs.Mem()
		opts := Options{Sync: SyncAlways, FileSize: 4 << 10}
		acked := map[string]bool{}
		for range 3 {
			j, got, _ := open(t, fsys, opts)
			all := map[string]bool{}
			for _, p := range got {
				all[p] = true
			}
			for p := range acked {
				if !all[p] {
					t.Fatalf("seed %d: acknowledged record %.20q is lost", seed, p)
				}
			}
			for i := range rng.IntN(40) {
				p := fmt.Sprintf("%d-%d-%s", rng.Uint64(), i, bytes.Repeat([]byte("x"), rng.IntN(600)))
				seq := add(t, j, p)
				acked[p] = true
				if rng.IntN(15) == 0 {
					if err := j.TruncateBefore(seq + 1); err != nil {
						t.Fatal(err)
					}
					acked = map[string]bool{}
				}
			}
			_, _ = j.Enqueue(ctx, 1, []byte("not acknowledged"))
			fsys = fsys.CrashClone(rng, rng.Float64())
		}
	}
}

// TestTornTail cuts a journal at every byte: replay gives a prefix.
func TestTornTail(t *testing.T) {
	fsys := vfs.Mem()
	j, _, _ := open(t, fsys, Options{})
	add(t, j, "first", "second", "third")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := vfs.ReadFile(fsys, "journal/00000001.wal", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.TrimRight(data, "\x00")
	all := []string{"first", "second", "third"}
	for cut := range data {
		fsys := vfs.Mem()
		_ = fsys.MkdirAll("journal")
		if err := vfs.WriteFile(fsys, "journal", "journal/t", "journal/00000001.wal", data[:cut]); err != nil {
			t.Fatal(err)
		}
		j, got, _ := open(t, fsys, Options{})
		want(t, got, all[:len(got)]...)
		if len(got) == 3 {
			t.Fatalf("cut at %d of %d gave all records", cut, len(data))
		}
		j.Close()
	}
}

func TestDamageIsReported(t *testing.T) {
	fsys := vfs.Mem()
	j, _, _ := open(t, fsys, Options{})
	add(t, j, "first", "second", "third", "fourth")
	j.Rotate()
	add(t, j, "fifth")
	j.Close()
	f, _ := fsys.OpenRW("journal/00000001.wal")
	_, _ = f.WriteAt([]byte{0xff}, fileHeader+recordHeader+5+recordHeader+2) // in "second"
	_, got, rep := open(t, fsys, Options{})
	want(t, got, "first", "fifth")
	if len(rep.Damage) != 1 || rep.Damage[0].Lost != 2 || rep.Damage[0].Offset != fileHeader+recordHeader+5 {
		t.Fatalf("damage %v", rep.Damage)
	}
}

func TestNewerVersionIsRefused(t *testing.T) {
	fsys := vfs.Mem()
	j, _, _ := open(t, fsys, Options{})
	add(t, j, "x")
	j.Close()
	f, _ := fsys.OpenRW("journal/00000001.wal")
	_, _ = f.WriteAt([]byte{formatVersion + 1}, 8)
	j, err := Open("journal", &Options{FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if _, err := j.Replay(func(Record) error { return nil }); !errors.Is(err, ErrVersion) {
		t.Fatalf("replay of a newer file: %v", err)
	}
}

// TestReuse fills and truncates until files are used again, with values that
// hold copies of the journal's own records.
func TestReuse(t *testing.T) {
	fsys := vfs.Mem()
	j, _, _ := open(t, fsys, Options{Sync: SyncAlways, FileSize: 4 << 10})
	for i := range 200 {
		var forged []byte
		for s := range uint64(10) {
			forged = appendRecord(forged, 1, uint64(i)+s, 1, [][]byte{[]byte("forged")}, 6)
		}
		seq := add(t, j, string(forged))
		if i%7 == 0 {
			if err := j.TruncateBefore(seq); err != nil {
				t.Fatal(err)
			}
		}
	}
	add(t, j, "last")
	if n := j.Size(); n > 32<<10 {
		t.Errorf("the journal takes %d bytes", n)
	}
	j.Close()
	_, got, rep := open(t, fsys, Options{})
	if len(rep.Damage) > 0 || len(got) > 20 || got[len(got)-1] != "last" {
		t.Fatalf("%d records, report %+v", len(got), rep)
	}
	for _, p := range got {
		if p == "forged" {
			t.Fatal("a record inside a value was replayed")
		}
	}
}

func TestTruncateWholeFilesOnly(t *testing.T) {
	fsys := vfs.Mem()
	j, _, _ := open(t, fsys, Options{})
	add(t, j, "a", "b")
	keep := j.Rotate()
	add(t, j, "c")
	if err := j.TruncateBefore(keep); err != nil {
		t.Fatal(err)
	}
	if err := j.TruncateBefore(keep + 1); err != nil { // the current file stays
		t.Fatal(err)
	}
	j.Close()
	j, got, _ := open(t, fsys, Options{})
	want(t, got, "c")
	if err := j.TruncateBefore(j.Next()); err != nil {
		t.Fatal(err)
	}
	j.Close()
	j, got, _ = open(t, fsys, Options{})
	want(t, got)
	j.SkipTo(100)
	if seq := add(t, j, "x"); seq != 100 {
		t.Fatalf("sequence %d after SkipTo(100)", seq)
	}
}

func TestGroupCommit(t *testing.T) {
	const writers, each = 32, 50
	var syncs int
	var mu sync.Mutex
	fsys := vfs.Mem()
	counted := vfs.Faulty(fsys, func(c vfs.Call) error {
		if c.Op == vfs.OpSync {
			mu.Lock()
			syncs++
			mu.Unlock()
			time.Sleep(200 * time.Microsecond) // a disk's; without it there is nothing to share
		}
		return nil
	})
	j, _, _ := open(t, counted, Options{Sync: SyncAlways, FileSize: 1 << 20})
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if _, err := j.Append(ctx, 1, fmt.Appendf(nil, "%d-%d", w, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	j.Close()
	if syncs >= writers*each/2 {
		t.Errorf("%d syncs for %d records: nothing was grouped", syncs, writers*each)
	}
	_, got, _ := open(t, fsys, Options{})
	if len(got) != writers*each {
		t.Fatalf("%d records, want %d", len(got), writers*each)
	}
}

func TestFailedSyncIsNeverSuccess(t *testing.T) {
	fsys := vfs.Mem()
	var failing bool
	var mu sync.Mutex
	faulty := vfs.Faulty(fsys, func(c vfs.Call) error {
		mu.Lock()
		defer mu.Unlock()
		if failing && c.Op == vfs.OpSync {
			return syscall.EIO
		}
		return nil
	})
	set := func(v bool) { mu.Lock(); failing = v; mu.Unlock() }
	var told error
	j, _, _ := open(t, faulty, Options{Sync: SyncAlways, OnError: func(err error) { told = err }})
	add(t, j, "before")
	set(true)
	if _, err := j.Append(ctx, 1, []byte("lost")); !errors.Is(err, syscall.EIO) {
		t.Fatalf("append with a failing sync: %v", err)
	}
	if err := j.Recover(ctx); !errors.Is(err, syscall.EIO) {
		t.Fatalf("recover while syncs fail: %v", err)
	}
	set(false)
	if _, err := j.Append(ctx, 1, []byte("refused")); !errors.Is(err, syscall.EIO) {
		t.Fatalf("append after a failed sync: %v", err)
	}
	if told == nil {
		t.Error("OnError was not called")
	}
	if err := j.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	add(t, j, "after")
	j.Close()
	crashed := fsys.CrashClone(rand.New(rand.NewPCG(1, 1)), 0)
	_, got, _ := open(t, crashed, Options{})
	want(t, got, "before", "after")
}

func TestFullDisk(t *testing.T) {
	fsys := vfs.Mem()
	j, _, _ := open(t, vfs.Faulty(fsys, vfs.FullAfter(100<<10)), Options{Sync: SyncAlways})
	n := 0
	for ; n < 1000; n++ {
		if _, err := j.Append(ctx, 1, make([]byte, 1000)); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			break
		}
	}
	if n == 0 || n == 1000 {
		t.Fatalf("%d records fit", n)
	}
	j.Close()
	_, got, _ := open(t, fsys, Options{})
	if len(got) < n {
		t.Fatalf("%d records replayed, %d acknowledged", len(got), n)
	}
}

func TestBounds(t *testing.T) {
	j, _, _ := open(t, vfs.Mem(), Options{Sync: SyncAlways, MaxBytes: 1 << 20, MaxRecord: 100 << 10})
	if _, err := j.Append(ctx, 1, make([]byte, 100<<10+1)); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	var err error
	n := 0
	for ; err == nil && n < 20; n++ {
		_, err = j.Append(ctx, 1, make([]byte, 100<<10))
	}
	if !errors.Is(err, ErrFull) || n < 5 {
		t.Fatalf("after %d records: %v", n, err)
	}
	if _, err := Open("x", &Options{FS: vfs.Mem(), FileSize: -1}); err == nil {
		t.Error("negative FileSize was taken")
	}
}

func TestContextEndsWait(t *testing.T) {
	release := make(chan struct{})
	stall := vfs.Faulty(vfs.Mem(), func(c vfs.Call) error {
		if c.Op == vfs.OpSync {
			<-release
		}
		return nil
	})
	j, _, _ := open(t, stall, Options{Sync: SyncAlways})
	c, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if _, err := j.Append(c, 1, []byte("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("append on a stalled disk: %v", err)
	}
	close(release)
}

func TestDirIsLocked(t *testing.T) {
	dir := t.TempDir()
	j, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	var held *vfs.LockedError
	if _, err := Open(dir, nil); !errors.As(err, &held) {
		t.Errorf("second open: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

func TestEntry(t *testing.T) {
	now := time.Now().Truncate(time.Microsecond)
	for _, e := range []store.Entry{
		{},
		{Value: []byte("v"), Version: 1<<63 + 5, Codec: "json", Tags: []string{"a", "", "\xff"}},
		{Expires: now, Fresh: now.Add(-time.Hour)},
		{Expires: now, Value: bytes.Repeat([]byte("x"), 1000)},
	} {
		p := append(AppendEntry(nil, "key", &e, 42), e.Value...)
		key, got, written, err := ParseEntry(p)
		if err != nil || key != "key" || written != 42 {
			t.Fatal(key, written, err)
		}
		if !bytes.Equal(got.Value, e.Value) || !got.Expires.Equal(e.Expires) || !got.Fresh.Equal(e.Fresh) ||
			got.Version != e.Version || got.Codec != e.Codec || fmt.Sprint(got.Tags) != fmt.Sprint(e.Tags) {
			t.Errorf("got %+v, want %+v", got, e)
		}
	}
}

func FuzzReplay(f *testing.F) {
	fsys := vfs.Mem()
	j, _, _ := open(f, fsys, Options{})
	add(f, j, "first", "second", "third")
	j.Close()
	data, _ := vfs.ReadFile(fsys, "journal/00000001.wal", 1<<20)
	f.Add(bytes.TrimRight(data, "\x00"))
	f.Add(data[:fileHeader])
	f.Fuzz(func(t *testing.T, data []byte) {
		fsys := vfs.Mem()
		_ = fsys.MkdirAll("journal")
		if err := vfs.WriteFile(fsys, "journal", "journal/t", "journal/00000001.wal", data); err != nil {
			t.Fatal(err)
		}
		j, err := Open("journal", &Options{FS: fsys, ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		total := 0
		_, _ = j.Replay(func(r Record) error { total += len(r.Payload); return nil })
		if total > len(data) {
			t.Fatalf("%d bytes out of %d", total, len(data))
		}
	})
}

func FuzzParseEntry(f *testing.F) {
	f.Add(AppendEntry(nil, "key", &store.Entry{Codec: "json", Tags: []string{"t"}}, 1))
	f.Fuzz(func(t *testing.T, p []byte) {
		key, e, written, err := ParseEntry(p)
		if err != nil {
			return
		}
		if _, e2, _, err := ParseEntry(append(AppendEntry(nil, key, &e, written), e.Value...)); err != nil || !e2.Expires.Equal(e.Expires) {
			t.Fatalf("%v: %+v came back as %+v", err, e, e2)
		}
	})
}

// The goroutine that writes rests between records that nobody waits for, and not
// from those who wait.
func TestWriterRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where appending takes no time
		var writes atomic.Int64
		counted := vfs.Faulty(vfs.Mem(), func(c vfs.Call) error {
			if c.Op == vfs.OpWrite {
				writes.Add(1)
			}
			return nil
		})
		j, _, _ := open(t, counted, Options{Sync: SyncNever})
		add(t, j, "record")
		synctest.Wait() // it is written, and the goroutine rests
		before := writes.Load()
		for range 1000 {
			add(t, j, "record")
		}
		synctest.Wait()
		if n := writes.Load() - before; n != 0 {
			t.Errorf("%d writes while it was to rest", n)
		}
		time.Sleep(restFor)
		synctest.Wait()
		if n := writes.Load() - before; n < 1 || n > 2 {
			t.Errorf("%d writes of 1000 records after the rest", n)
		}
		add(t, j, "record")
		start := time.Now()
		if err := j.Drain(ctx); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("Drain waited %v", d)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
