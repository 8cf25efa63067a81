package diskstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stratacache/strata/store"
)

// These tests meet real faults of a real system, where the process may mount
// file systems: a tmpfs that is full or read-only, an ext4 that is shut down as
// by a power failure, a process out of file descriptors.

func mountTmpfs(t *testing.T, size string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mounting a tmpfs needs privileges that this process has not: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func remount(t *testing.T, dir string, flags uintptr, data string) {
	t.Helper()
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|flags, data); err != nil {
		t.Fatalf("remount: %v", err)
	}
}

// realWrites sets values and tables until one fails, and returns the error.
func realWrites(s *Store, from, n int, acked map[string]string) error {
	for i := from; i < from+n; i++ {
		k, e := fmt.Sprint("k", i), store.Entry{Value: []byte(fmt.Sprint(i, strings.Repeat("v", 1000)))}
		if i%10 == 0 {
			k, e = fmt.Sprintf("hist:S%d:1d", i), tableEntry(string(e.Value))
		}
		if err := s.Set(ctx, k, e); err != nil {
			return err
		}
		acked[k] = string(e.Value)
	}
	return nil
}

func wantAcked(t *testing.T, s *Store, when string, acked map[string]string) {
	t.Helper()
	wantAckedOr(t, s, nil, when, acked)
}

// wantAckedOr lets reads of table files, which have to be opened, fail so.
func wantAckedOr(t *testing.T, s *Store, allowed error, when string, acked map[string]string) {
	t.Helper()
	for k, v := range acked {
		e, err := s.Get(ctx, k)
		if allowed != nil && errors.Is(err, allowed) && strings.HasPrefix(k, "hist:") && e.Value == nil {
			continue
		}
		if err != nil || string(e.Value) != v {
			t.Fatalf("%s: acknowledged %s is %.20q, %v", when, k, e.Value, err)
		}
	}
}

// eventually repeats a call that a background goroutine must make succeed.
func eventually(t *testing.T, what string, fn func() error) {
	t.Helper()
	var err error
	for range 4000 {
		if err = fn(); err == nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%s: %v", what, err)
}

func faultOptions() Options {
	return Options{
		Sync: SyncAlways, SegmentSize: 128 << 10, CompactionRate: -1, Partitioner: histRule{}, OnError: func(error) {},
	}
}

// TestNoSpace fills a disk: writes fail with ENOSPC, all that was acknowledged
// stays readable, no temporary file stays, and with room again the store takes
// writes again by itself.
func TestNoSpace(t *testing.T) {
	dir := mountTmpfs(t, "3m")
	s := openDir(t, dir, faultOptions())
	acked := map[string]string{}
	if err := realWrites(s, 0, 20_000, acked); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("after %d writes: %v; want ENOSPC", len(acked), err)
	}
	if len(acked) < 500 {
		t.Errorf("only %d writes fit", len(acked))
	}
	for round := range 3 { // sealing may make some room
		if err := realWrites(s, 20_000*(round+1), 20_000, acked); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("write on a full disk: %v", err)
		}
	}
	wantAcked(t, s, "on a full disk", acked)
	eventually(t, "temporary files", func() error { // but of what is being tried again
		if temps := tempFiles(t, dir); len(temps) > 0 {
			return fmt.Errorf("left behind: %q", temps)
		}
		return nil
	})
	remount(t, dir, 0, "size=64m")
	eventually(t, "writes with room again", func() error { return realWrites(s, 100_000, 300, acked) })
	if err := errors.Join(s.Flush(ctx), s.Compact(ctx)); err != nil {
		t.Fatal(err)
	}
	wantAcked(t, s, "with room again", acked)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantAcked(t, openDir(t, dir, faultOptions()), "opened again", acked)
}

// TestNoSpaceAtClose: what does not fit into segments stays in the journal.
func TestNoSpaceAtClose(t *testing.T) {
	dir := mountTmpfs(t, "3m")
	opts := faultOptions()
	opts.SegmentSize = 64 << 20 // all of it stays in the journal
	s := openDir(t, dir, opts)
	acked := map[string]string{}
	if err := realWrites(s, 0, 20_000, acked); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("after %d writes: %v; want ENOSPC", len(acked), err)
	}
	if err := s.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("close on a full disk: %v", err)
	}
	opts.ReadOnly = true
	wantAcked(t, openDir(t, dir, opts), "read-only", acked)
	opts.ReadOnly = false
	s = openDir(t, dir, opts) // a full disk is no reason not to open
	wantAcked(t, s, "opened on a full disk", acked)
	remount(t, dir, 0, "size=64m")
	eventually(t, "a write with room again", func() error { return realWrites(s, 30_000, 1, acked) })
	wantAcked(t, s, "with room again", acked)
}

// tempFiles lists the temporary files of segments and tables.
func tempFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, ".tmp") {
			names = append(names, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestReadOnlyDisk: the disk becomes read-only under a store, and writable again.
func TestReadOnlyDisk(t *testing.T) {
	dir := mountTmpfs(t, "16m")
	s := openDir(t, dir, faultOptions())
	acked := map[string]string{}
	if err := realWrites(s, 0, 300, acked); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// No file may be open for writing when a disk is made read-only: the
	// journal's is from the first write on.
	s = openDir(t, dir, faultOptions())
	eventually(t, "remount", func() error {
		return syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	})
	for i := range 3 {
		if err := realWrites(s, 1000+i, 1, acked); !errors.Is(err, syscall.EROFS) {
			t.Fatalf("set on a read-only disk: %v", err)
		}
	}
	for what, err := range map[string]error{
		"set table": s.Set(ctx, "hist:NEW:1d", tableEntry("x")), "delete": s.Delete(ctx, "k1"), "clear": s.Clear(ctx),
		"load": s.Load(ctx, entriesOf("x", nil, "a", "b")), "compact": s.Compact(ctx),
	} {
		if !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s on a read-only disk: %v", what, err)
		}
	}
	// Of a write that failed nothing is known: it shows if the journal had just
	// been revived, and fails only when it is written.
	delete(acked, "k1")
	wantAcked(t, s, "on a read-only disk", acked)
	if rep, err := s.Verify(ctx); err != nil || len(rep.Problems) > 0 {
		t.Errorf("verify: %v, %v", rep, err)
	}
	opts := faultOptions()
	opts.ReadOnly = true
	wantAcked(t, openDir(t, dir, opts), "read-only store", acked)
	remount(t, dir, 0, "")
	eventually(t, "writes on a writable disk", func() error { return realWrites(s, 2000, 200, acked) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantAcked(t, openDir(t, dir, faultOptions()), "opened again", acked)
}

// TestOpenOnReadOnlyDisk: only Options.ReadOnly opens there, and nothing changes.
func TestOpenOnReadOnlyDisk(t *testing.T) {
	dir := mountTmpfs(t, "16m")
	s := openDir(t, dir, faultOptions())
	acked := map[string]string{}
	if err := errors.Join(realWrites(s, 0, 300, acked), s.Close()); err != nil {
		t.Fatal(err)
	}
	remount(t, dir, syscall.MS_RDONLY, "")
	opts := faultOptions()
	if s, err := Open(dir, &opts); err == nil {
		wantAcked(t, s, "opened for writing", acked)
		_ = s.Close()
	} else if !errors.Is(err, syscall.EROFS) {
		t.Errorf("open: %v", err)
	}
	opts.ReadOnly = true
	wantAcked(t, openDir(t, dir, opts), "read-only", acked)
}

const ext4Shutdown = 0x8004587d // EXT4_IOC_SHUTDOWN

// TestPowerFailure shuts an ext4 file system down without flushing its log, in
// the middle of writes, tables, sealing and compaction, and mounts it again: what
// was acknowledged is there.
func TestPowerFailure(t *testing.T) {
	rounds := 2
	if os.Getenv("STRATA_TORTURE") != "" {
		rounds = 20
	}
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	if out, err := exec.Command("mkfs.ext4", "-q", image, "48M").CombinedOutput(); err != nil {
		t.Skipf("mkfs.ext4: %v %s", err, out)
	}
	mount := func() {
		if out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
			t.Skipf("mounting a loop device needs privileges that this process has not: %v %s", err, out)
		}
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }) // of a round that failed
	acked := map[string]string{}
	for round := range rounds {
		mount()
		s := openDir(t, dir, faultOptions())
		wantAcked(t, s, fmt.Sprint("round ", round), acked)
		done := make(chan error, 1)
		go func() { done <- realWrites(s, round*10_000, 10_000, acked) }()
		time.Sleep(200 * time.Millisecond) // of real writing
		root, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		mode := uint32(2) // do not flush the log
		if err := ioctl(root.Fd(), ext4Shutdown, &mode); err != nil {
			t.Skipf("shutting ext4 down: %v", err)
		}
		_ = root.Close()
		if err := <-done; err == nil {
			t.Error("no write noticed")
		}
		wantAckedOr(t, s, syscall.EIO, "after the shutdown", acked)
		_ = s.Close()
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Fatal(err)
		}
	}
	mount()
	s := openDir(t, dir, faultOptions())
	wantAcked(t, s, "at the end", acked)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := syscall.Unmount(dir, 0); err != nil {
		t.Error(err)
	}
	t.Logf("%d writes acknowledged in %d rounds", len(acked), rounds)
}

// descriptorsEnv names the directory for the child of TestNoDescriptors.
const descriptorsEnv = "STRATA_FEW_DESCRIPTORS_DIR"

// TestNoDescriptors runs a store in a process that is out of file descriptors.
func TestNoDescriptors(t *testing.T) {
	if dir := os.Getenv(descriptorsEnv); dir != "" {
		withoutDescriptors(t, dir)
		return
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestNoDescriptors$", "-test.v")
	cmd.Env = append(os.Environ(), descriptorsEnv+"="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// What the child has written is there for the next process.
	s := openDir(t, dir, faultOptions())
	if rep, err := s.Verify(ctx); err != nil || len(rep.Problems) > 0 || rep.Tables < 20 {
		t.Errorf("verify: %+v, %v", rep, err)
	}
}

func withoutDescriptors(t *testing.T, dir string) {
	s := openDir(t, dir, faultOptions())
	acked := map[string]string{}
	if err := realWrites(s, 0, 200, acked); err != nil {
		t.Fatal(err)
	}
	var held []*os.File
	limit := syscall.Rlimit{Cur: 64, Max: 64}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		held = append(held, f)
	}
	failed := 0
	for i := range 2000 { // enough to be sealed
		switch err := realWrites(s, 1000+i, 1, acked); {
		case errors.Is(err, syscall.EMFILE):
			failed++
		case err != nil:
			t.Fatalf("write %d: %v", i, err)
		}
	}
	if failed == 0 {
		t.Error("no write noticed")
	}
	wantAckedOr(t, s, syscall.EMFILE, "without descriptors", acked)
	for range s.Scan(ctx, "") {
		continue
	}
	opts := faultOptions()
	opts.ReadOnly = true
	if _, err := Open(dir, &opts); !errors.Is(err, syscall.EMFILE) || errors.Is(err, store.ErrCorrupt) {
		t.Errorf("open without descriptors: %v", err)
	}
	for _, f := range held {
		_ = f.Close()
	}
	eventually(t, "writes with descriptors again", func() error { return realWrites(s, 5000, 200, acked) })
	if err := errors.Join(s.Flush(ctx), s.Compact(ctx)); err != nil {
		t.Fatal(err)
	}
	wantAcked(t, s, "with descriptors again", acked)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantAcked(t, openDir(t, dir, faultOptions()), "opened again", acked)
}

func ioctl(fd uintptr, request uintptr, arg *uint32) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(unsafe.Pointer(arg))); errno != 0 {
		return errno
	}
	return nil
}
