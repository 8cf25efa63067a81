//go:build unix

package table

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stratacache/strata/store"
)

// TestPlantedLinks proves that nothing is written or read through links that
// leave the directory, wherever they are.
func TestPlantedLinks(t *testing.T) {
	rel := mustPath(t, "AAPL")
	for _, at := range []string{"tables", "tables/hist", "tables/hist/symbol=AAPL", rel} {
		t.Run(at, func(t *testing.T) {
			d, root := open(t, nil)
			outside := t.TempDir()
			if err := os.WriteFile(filepath.Join(outside, fileName), []byte("secret"), 0o666); err != nil {
				t.Fatal(err)
			}
			link := filepath.Join(root, at)
			if err := os.MkdirAll(filepath.Dir(link), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(outside, link); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Stage(rel, 1, []byte("x")); err == nil {
				t.Error("staged through a link")
			}
			if got, err := d.Get(nil, rel, Sum{}); err == nil {
				t.Errorf("read %q through a link", got)
			}
			_ = d.Remove(rel)
			_, _ = d.Sweep(func(string) bool { return false })
			if got := tree(t, outside); len(got) != 1 {
				t.Errorf("outside: %q", got)
			}
		})
	}
}

func TestPlantedFiles(t *testing.T) {
	d, root := open(t, nil)
	rel := mustPath(t, "AAPL")
	put(t, d, rel, 1, []byte("old"))
	outside := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(outside, []byte("victim"), 0o666); err != nil {
		t.Fatal(err)
	}
	// A link in the place of the temporary file is replaced, not followed.
	if err := os.Symlink(outside, filepath.Join(root, tempFile(rel, 2))); err != nil {
		t.Fatal(err)
	}
	sum := put(t, d, rel, 2, []byte("new"))
	if got, err := d.Get(nil, rel, sum); err != nil || string(got) != "new" {
		t.Fatalf("got %q, %v", got, err)
	}
	if got, _ := os.ReadFile(outside); string(got) != "victim" {
		t.Fatalf("the link's target is now %q", got)
	}
	// A link to a file outside and a FIFO in the place of the table.
	file := filepath.Join(root, rel, fileName)
	for name, plant := range map[string]func() error{
		"link": func() error { return os.Symlink(outside, file) },
		"fifo": func() error { return syscall.Mkfifo(file, 0o666) },
		"dir":  func() error { return os.Mkdir(file, 0o777) },
	} {
		d.cache.drop(rel)
		if err := os.RemoveAll(file); err != nil {
			t.Fatal(err)
		}
		if err := plant(); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Get(nil, rel, sum); err == nil {
			t.Errorf("%s: was read", name)
		}
	}
}

// TestFailures runs out of descriptors and writes where it may not.
func TestFailures(t *testing.T) {
	d, root := open(t, nil)
	rel := mustPath(t, "AAPL")
	sum := put(t, d, rel, 1, []byte("old"))
	d.cache.drop(rel)

	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	low := limit
	low.Cur = 3
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	_, getErr := d.Get(nil, rel, sum)
	_, stageErr := d.Stage(rel, 2, []byte("new"))
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(getErr, syscall.EMFILE) || !errors.Is(stageErr, syscall.EMFILE) {
		t.Errorf("without descriptors: %v, %v", getErr, stageErr)
	}
	if errors.Is(getErr, store.ErrCorrupt) || errors.Is(getErr, fs.ErrNotExist) {
		t.Errorf("a lack of descriptors looks like damage: %v", getErr)
	}
	if _, err := d.Get(nil, rel, sum); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	// A file where a directory should be.
	if err := os.WriteFile(filepath.Join(root, "tables/hist/symbol=FILE"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Stage(mustPath(t, "FILE"), 1, nil); err == nil {
		t.Error("staged below a file")
	}
	// The user removes everything while we run.
	if err := os.RemoveAll(filepath.Join(root, "tables")); err != nil {
		t.Fatal(err)
	}
	sum = put(t, d, rel, 3, []byte("again"))
	if got, err := d.Get(nil, rel, sum); err != nil || string(got) != "again" {
		t.Errorf("after removal of the tables: %q, %v", got, err)
	}
}
