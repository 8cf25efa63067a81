//go:build linux

package table

import (
	"errors"
	"syscall"
	"testing"

	"github.com/stratacache/strata/internal/vfs"
)

// TestNoSpace fills a small file system: what was there stays readable, nothing
// is left of the failed write, and after a removal there is room again.
func TestNoSpace(t *testing.T) {
	root := t.TempDir()
	if err := syscall.Mount("tmpfs", root, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("mounting a tmpfs needs privileges: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(root, 0); err != nil {
			t.Error(err)
		}
	}()
	fsys, err := vfs.OS(root)
	if err != nil {
		t.Fatal(err)
	}
	defer fsys.Close()
	d, err := Open(fsys, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	a, b := mustPath(t, "A"), mustPath(t, "B")
	sum := put(t, d, a, 1, content(1, 150_000))
	for _, rel := range []string{a, b} {
		if _, err := d.Stage(rel, 2, content(2, 150_000)); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("stage on a full disk: %v", err)
		}
	}
	if _, err := d.Get(nil, a, sum); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, root); len(got) != 6 {
		t.Fatalf("left behind: %q", got)
	}
	if err := d.Remove(a); err != nil {
		t.Fatal(err)
	}
	put(t, d, b, 3, content(3, 150_000))

	if err := syscall.Mount("", root, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Stage(a, 4, nil); !errors.Is(err, syscall.EROFS) {
		t.Errorf("stage on a read-only disk: %v", err)
	}
	if err := d.Remove(b); !errors.Is(err, syscall.EROFS) {
		t.Errorf("remove on a read-only disk: %v", err)
	}
	if _, err := d.Get(nil, b, SumOf(content(3, 150_000))); err != nil {
		t.Errorf("get on a read-only disk: %v", err)
	}
}
