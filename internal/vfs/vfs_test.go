package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"syscall"
	"testing"
)

func write(t *testing.T, fsys FS, name, data string, sync bool) {
	t.Helper()
	f, err := fsys.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	if sync {
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, fsys FS, name string) string {
	t.Helper()
	data, err := ReadFile(fsys, name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestFS runs the same steps on the real file system and on the one in memory.
func TestFS(t *testing.T) {
	disk, err := OS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	for name, fsys := range map[string]FS{"os": disk, "mem": Mem()} {
		t.Run(name, func(t *testing.T) { testFS(t, fsys) })
	}
}

func testFS(t *testing.T, fsys FS) {
	if err := fsys.MkdirAll("a/b"); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(fsys, "a/b", "a/b/tmp", "a/b/x", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := read(t, fsys, "a/b/x"); got != "hello" {
		t.Fatalf("read %q", got)
	}
	if _, err := fsys.Stat("a/b/tmp"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("temporary file is left: %v", err)
	}
	list, err := fsys.ReadDir("a/b")
	if err != nil || len(list) != 1 || list[0].Name() != "x" {
		t.Fatalf("list %v, %v", list, err)
	}
	if _, err := ReadFile(fsys, "a/b/x", 4); err == nil {
		t.Fatal("the limit of ReadFile was ignored")
	}

	if _, err := fsys.CreateNew("a/b/x"); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("created anew what is there: %v", err)
	}
	f, err := fsys.OpenRW("a/b/x")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := f.Map()
	if err != nil || !bytes.Equal(m.Data, []byte("hello")) {
		t.Fatalf("mapping %q, %v", m.Data, err)
	}
	if err := errors.Join(m.Close(), m.Close(), f.Truncate(2), f.Datasync()); err != nil {
		t.Fatal(err)
	}
	if size, err := f.Size(); size != 2 || err != nil {
		t.Fatalf("size %d, %v", size, err)
	}
	if err := errors.Join(fsys.Rename("a/b/x", "a/y"), fsys.SyncDir("a"), fsys.Remove("a/y")); err != nil {
		t.Fatal(err)
	}
	if _, err := fsys.Open("a/y"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("removed file opens: %v", err)
	}
}

func TestOSStaysInside(t *testing.T) {
	fsys, err := OS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer fsys.Close()
	if _, err := fsys.Create("../escaped"); err == nil {
		t.Fatal("created a file outside of the root")
	}
	if err := fsys.MkdirAll("a/../../b"); err == nil {
		t.Fatal("created a directory outside of the root")
	}
}

func TestLock(t *testing.T) {
	disk, err := OS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	for name, fsys := range map[string]FS{"os": disk, "mem": Mem()} {
		l, err := fsys.Lock("LOCK")
		if err != nil {
			t.Fatal(name, err)
		}
		var held *LockedError
		if _, err := fsys.Lock("LOCK"); !errors.As(err, &held) || held.Holder == "" {
			t.Fatalf("%s: second lock: %v", name, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(name, err)
		}
		if l, err = fsys.Lock("LOCK"); err != nil {
			t.Fatalf("%s: lock after release: %v", name, err)
		}
		_ = l.Close()
	}
}

func TestCrashCloneKeepsWhatWasSynced(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	m := Mem()
	write(t, m, "synced", "both", true)
	if err := m.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	write(t, m, "unlinked", "no directory sync", true)
	f, _ := m.OpenRW("synced")
	_, _ = f.WriteAt([]byte("BOTH"), 0)

	c := m.CrashClone(rng, 0)
	if got := read(t, c, "synced"); got != "both" {
		t.Fatalf("synced file reads %q after the crash", got)
	}
	if _, err := c.Stat("unlinked"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("file in an unsynced directory survived: %v", err)
	}
	c = m.CrashClone(rng, 1)
	if got := read(t, c, "synced") + read(t, c, "unlinked"); got != "BOTHno directory sync" {
		t.Fatalf("keeping everything gave %q", got)
	}
}

// TestCrashCloneRenames: a file that is being renamed has one of its names.
func TestCrashCloneRenames(t *testing.T) {
	m := Mem()
	write(t, m, "to", "old", true)
	write(t, m, "from", "new", true)
	if err := m.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	if err := m.Rename("from", "to"); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for seed := range uint64(50) {
		c := m.CrashClone(rand.New(rand.NewPCG(seed, 1)), 0.5)
		left := ""
		if _, err := c.Stat("from"); err == nil {
			left = read(t, c, "from")
		}
		seen[read(t, c, "to")+" "+left]++
	}
	if len(seen) != 2 || seen["old new"] == 0 || seen["new "] == 0 {
		t.Errorf("after a crash: %v", seen)
	}
}

// TestCrashCloneDirs: without its directory a file is not found.
func TestCrashCloneDirs(t *testing.T) {
	m := Mem()
	if err := errors.Join(m.Mkdir("a"), m.Mkdir("a/b")); err != nil {
		t.Fatal(err)
	}
	write(t, m, "a/b/x", "1", true)
	if err := errors.Join(m.SyncDir("a/b"), m.SyncDir("a")); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	if _, err := m.CrashClone(rng, 0).Stat("a/b/x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file in a directory that was not synced: %v", err)
	}
	if err := m.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	if got := read(t, m.CrashClone(rng, 0), "a/b/x"); got != "1" {
		t.Errorf("read %q", got)
	}
	if err := m.Mkdir("a"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("mkdir of what is there: %v", err)
	}
	if err := m.SyncDir("none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("sync of what is not there: %v", err)
	}
}

// TestWriteAll: what each file system writes is what was given, whatever the
// number of buffers.
func TestWriteAll(t *testing.T) {
	root, err := OS(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, fsys := range map[string]FS{"os": root, "mem": Mem(), "faulty": Faulty(Mem(), FailNth(1<<30, OpWrite, nil, false))} {
		f, err := fsys.Create("x")
		if err != nil {
			t.Fatal(err)
		}
		var bufs [][]byte
		var want []byte
		for i := range 3000 { // more than one call of the system takes
			b := bytes.Repeat([]byte{byte(i)}, i%7)
			bufs, want = append(bufs, b), append(want, b...)
		}
		if err := errors.Join(f.WriteAll(bufs), f.WriteAll(nil)); err != nil {
			t.Fatal(name, err)
		}
		got := make([]byte, len(want))
		if n, err := f.ReadAt(got, 0); n != len(want) || err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(got, want) {
			t.Errorf("%s: read other bytes than were written: %d, %v", name, n, err)
		}
		_ = f.Close()
	}
	full := Faulty(Mem(), FullAfter(10))
	f, _ := full.Create("x")
	if err := f.WriteAll([][]byte{make([]byte, 8), make([]byte, 8)}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("writing to a full disk: %v", err)
	}
}

func TestFaults(t *testing.T) {
	eio := syscall.EIO
	fsys := Faulty(Mem(), FailNth(2, OpSync, eio, false))
	f, err := fsys.Create("x")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{nil, eio, nil} {
		if err := f.Datasync(); !errors.Is(err, want) {
			t.Fatalf("sync %d: %v, want %v", i, err, want)
		}
	}

	full := Faulty(Mem(), FullAfter(10))
	f, _ = full.Create("x")
	if n, err := f.Write(make([]byte, 8)); n != 8 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := f.Write(make([]byte, 8)); n != 2 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("write over the end: %d, %v", n, err)
	}
	if n, err := f.Write([]byte{1}); n != 0 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("write to a full disk: %d, %v", n, err)
	}
}
