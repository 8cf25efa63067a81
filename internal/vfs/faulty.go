package vfs

import (
	"errors"
	"io"
	"io/fs"
	"sync/atomic"
	"syscall"
)

// Op is a kind of call that Faulty can make fail.
type Op uint16

// The calls, as bits, so that a fault can name several.
const (
	OpCreate Op = 1 << iota
	OpOpen
	OpRead
	OpWrite
	OpSync // Sync and Datasync
	OpTruncate
	OpMap
	OpRename
	OpRemove
	OpStat
	OpReadDir
	OpMkdir
	OpSyncDir

	// OpAll is every call; OpChange those that modify the disk.
	OpAll    = OpSyncDir<<1 - 1
	OpChange = OpCreate | OpWrite | OpSync | OpTruncate | OpRename | OpRemove | OpMkdir | OpSyncDir
)

// Call is one call about to be made.
type Call struct {
	Op   Op
	Name string
	Len  int // of writes and reads
}

// ShortWrite is an error of an Inject function that lets the first N bytes of
// the write through and then fails with Err.
type ShortWrite struct {
	N   int
	Err error
}

func (e *ShortWrite) Error() string { return "short write: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *ShortWrite) Unwrap() error { return e.Err }

// Inject decides about each call: nil lets it through, an error is returned
// instead of making it. It is called from many goroutines.
type Inject func(Call) error

// FailNth fails the n-th call (from 1) of the kinds in ops, and with forever
// every one after it too.
func FailNth(n int64, ops Op, err error, forever bool) Inject {
	var count atomic.Int64
	return func(c Call) error {
		if c.Op&ops == 0 {
			return nil
		}
		if k := count.Add(1); k == n || forever && k > n {
			return err
		}
		return nil
	}
}

// FullAfter is a disk with room for so many bytes: the write that exceeds them
// is cut short with ENOSPC, and so is every later one. Removing files gives no
// room back.
func FullAfter(bytes int64) Inject {
	var left atomic.Int64
	left.Store(bytes)
	return func(c Call) error {
		if c.Op != OpWrite {
			return nil
		}
		rest := left.Add(-int64(c.Len))
		if rest >= 0 {
			return nil
		}
		return &ShortWrite{N: int(max(0, rest+int64(c.Len))), Err: syscall.ENOSPC}
	}
}

// Faulty makes calls of fsys fail as inject says.
func Faulty(fsys FS, inject Inject) FS { return &faultFS{fsys, inject} }

type faultFS struct {
	FS
	inject Inject
}

func (f *faultFS) check(op Op, name string) error { return f.inject(Call{Op: op, Name: name}) }

func (f *faultFS) open(op Op, name string, open func(string) (File, error)) (File, error) {
	if err := f.check(op, name); err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	file, err := open(name)
	if err != nil {
		return nil, err
	}
	return &faultFile{file, name, f.inject}, nil
}

func (f *faultFS) Create(name string) (File, error) { return f.open(OpCreate, name, f.FS.Create) }
func (f *faultFS) CreateNew(name string) (File, error) {
	return f.open(OpCreate, name, f.FS.CreateNew)
}
func (f *faultFS) Open(name string) (File, error)   { return f.open(OpOpen, name, f.FS.Open) }
func (f *faultFS) OpenRW(name string) (File, error) { return f.open(OpOpen, name, f.FS.OpenRW) }

func (f *faultFS) Rename(from, to string) error {
	if err := f.check(OpRename, from); err != nil {
		return &fs.PathError{Op: "rename", Path: from, Err: err}
	}
	return f.FS.Rename(from, to)
}

func (f *faultFS) Remove(name string) error {
	if err := f.check(OpRemove, name); err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	return f.FS.Remove(name)
}

func (f *faultFS) Stat(name string) (fs.FileInfo, error) {
	if err := f.check(OpStat, name); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return f.FS.Stat(name)
}

func (f *faultFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := f.check(OpReadDir, name); err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return f.FS.ReadDir(name)
}

func (f *faultFS) MkdirAll(name string) error {
	if err := f.check(OpMkdir, name); err != nil {
		return &fs.PathError{Op: "mkdir", Path: name, Err: err}
	}
	return f.FS.MkdirAll(name)
}

func (f *faultFS) Mkdir(name string) error {
	if err := f.check(OpMkdir, name); err != nil {
		return &fs.PathError{Op: "mkdir", Path: name, Err: err}
	}
	return f.FS.Mkdir(name)
}

func (f *faultFS) SyncDir(name string) error {
	if err := f.check(OpSyncDir, name); err != nil {
		return &fs.PathError{Op: "syncdir", Path: name, Err: err}
	}
	return f.FS.SyncDir(name)
}

type faultFile struct {
	File
	name   string
	inject Inject
}

func (f *faultFile) check(op Op, n int) error {
	return f.inject(Call{Op: op, Name: f.name, Len: n})
}

// write makes a write, or the part of it that a ShortWrite lets through.
func (f *faultFile) write(p []byte, write func([]byte) (int, error)) (int, error) {
	err := f.check(OpWrite, len(p))
	if err == nil {
		return write(p)
	}
	n := 0
	if s := (*ShortWrite)(nil); errors.As(err, &s) && s.N > 0 {
		n, _ = write(p[:min(s.N, len(p))])
		err = s.Err
	}
	return n, &fs.PathError{Op: "write", Path: f.name, Err: err}
}

func (f *faultFile) Write(p []byte) (int, error) { return f.write(p, f.File.Write) }

// WriteAll is a Write of each: any of them can fail.
func (f *faultFile) WriteAll(bufs [][]byte) error { return writeEach(f, bufs) }

func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	return f.write(p, func(p []byte) (int, error) { return f.File.WriteAt(p, off) })
}

func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.check(OpRead, len(p)); err != nil {
		return 0, &fs.PathError{Op: "read", Path: f.name, Err: err}
	}
	return f.File.ReadAt(p, off)
}

func (f *faultFile) Sync() error {
	if err := f.check(OpSync, 0); err != nil {
		return &fs.PathError{Op: "sync", Path: f.name, Err: err}
	}
	return f.File.Sync()
}

func (f *faultFile) Datasync() error {
	if err := f.check(OpSync, 0); err != nil {
		return &fs.PathError{Op: "fdatasync", Path: f.name, Err: err}
	}
	return f.File.Datasync()
}

func (f *faultFile) Truncate(size int64) error {
	if err := f.check(OpTruncate, 0); err != nil {
		return &fs.PathError{Op: "truncate", Path: f.name, Err: err}
	}
	return f.File.Truncate(size)
}

func (f *faultFile) Map() (*Mapping, error) {
	if err := f.check(OpMap, 0); err != nil {
		return nil, &fs.PathError{Op: "mmap", Path: f.name, Err: err}
	}
	return f.File.Map()
}

var _ io.ReaderAt = (*faultFile)(nil)
