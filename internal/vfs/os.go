package vfs

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// osFS is a directory of the operating system. All names go through an os.Root,
// so that neither ".." nor a symbolic link leads out of it.
type osFS struct {
	root *os.Root
	dir  string
}

// OS opens dir, which must exist.
func OS(dir string) (FS, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &osFS{root: root, dir: dir}, nil
}

func (o *osFS) Create(name string) (File, error) {
	return wrap(o.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644))
}

func (o *osFS) CreateNew(name string) (File, error) {
	return wrap(o.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644))
}

func (o *osFS) Open(name string) (File, error) {
	return wrap(o.root.OpenFile(name, os.O_RDONLY|noWait, 0))
}

func (o *osFS) OpenRW(name string) (File, error) {
	return wrap(o.root.OpenFile(name, os.O_RDWR|noWait, 0))
}

func wrap(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (o *osFS) Rename(from, to string) error          { return o.root.Rename(from, to) }
func (o *osFS) Remove(name string) error              { return o.root.Remove(name) }
func (o *osFS) Stat(name string) (fs.FileInfo, error) { return o.root.Lstat(name) }
func (o *osFS) MkdirAll(name string) error            { return o.root.MkdirAll(name, 0o755) }
func (o *osFS) Mkdir(name string) error               { return o.root.Mkdir(name, 0o755) }
func (o *osFS) Close() error                          { return o.root.Close() }

func (o *osFS) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := o.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}

func (o *osFS) SyncDir(name string) error {
	if !canSyncDir {
		return nil
	}
	f, err := o.root.Open(name)
	if err != nil {
		return err
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// Lock takes an advisory lock on the file and writes the process id into it,
// for the message that others will get.
func (o *osFS) Lock(name string) (io.Closer, error) {
	path := filepath.Join(o.dir, filepath.FromSlash(name))
	l := flock.New(path, flock.SetPermissions(0o644))
	ok, err := l.TryLock()
	if err != nil {
		return nil, err
	}
	if !ok {
		pid, _ := os.ReadFile(path)
		return nil, &LockedError{Name: path, Holder: strings.TrimSpace(string(pid[:min(len(pid), 32)]))}
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

type osFile struct{ *os.File }

func (f osFile) Datasync() error { return datasync(f.File) }

func (f osFile) WriteAll(bufs [][]byte) error { return writeAll(f.File, bufs) }

func (f osFile) WriteBack(off, n int64) { writeBack(f.File, off, n) }

func (f osFile) Allocate(n int64) { allocate(f.File, n) }

func (f osFile) Size() (int64, error) {
	fi, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

func (f osFile) Map() (*Mapping, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return &Mapping{}, nil
	}
	if int64(int(size)) != size {
		return nil, &fs.PathError{Op: "mmap", Path: f.Name(), Err: errors.ErrUnsupported}
	}
	return mapFile(f.File, int(size))
}
