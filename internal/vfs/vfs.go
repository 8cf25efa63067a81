// Package vfs is the file system that the disk tier and the journal write
// through. There are three: [OS], a directory of the real one that nothing can
// leave; [Mem], in memory, which can be cloned as a crash would leave it; and
// [Faulty], which wraps another and makes chosen calls fail.
//
// Names are slash-separated and relative to the root of the FS.
package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// File is an open file. ReadAt and WriteAt are safe for concurrent use.
type File interface {
	io.Writer // at the file's own position, which begins at 0
	// WriteAll writes bufs one after the other, as Write does, in one call of the
	// system where it can: a cache of the system's is laid out by calls.
	WriteAll(bufs [][]byte) error
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes data and metadata durable.
	Sync() error
	// Datasync makes the data durable, and of the metadata only what reading
	// the data needs. It is cheaper than Sync where the size did not change.
	Datasync() error
	// WriteBack tells the system to begin writing n bytes from off to the disk
	// now, rather than when somebody syncs. It does not wait, promises nothing,
	// and its errors show in the next sync.
	WriteBack(off, n int64)
	// Allocate has the system keep room on the disk for the first n bytes. The
	// file's size stays as it is. It promises nothing, and where the system cannot
	// it does nothing. Truncate gives back what is past the size.
	Allocate(n int64)
	// Size returns the file's present size in bytes.
	Size() (int64, error)
	// Truncate cuts or extends the file to size bytes.
	Truncate(size int64) error
	// Map maps the whole file for reading. The mapping stays valid after the
	// file is closed, renamed or removed, until it is closed itself.
	Map() (*Mapping, error)
}

// FS is a directory tree.
type FS interface {
	// Create opens name for reading and writing and truncates it.
	Create(name string) (File, error)
	// CreateNew is Create for a name that does not exist: where it does, be it a
	// link, the error is fs.ErrExist.
	CreateNew(name string) (File, error)
	// Open opens name for reading. It does not wait, whatever name is.
	Open(name string) (File, error)
	// OpenRW opens the existing file name for reading and writing.
	OpenRW(name string) (File, error)
	Rename(from, to string) error
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// Stat does not follow links.
	Stat(name string) (fs.FileInfo, error)
	// ReadDir returns the entries in no particular order.
	ReadDir(name string) ([]fs.DirEntry, error)
	MkdirAll(name string) error
	// Mkdir makes one directory, whose parent exists. SyncDir of the parent makes
	// it durable.
	Mkdir(name string) error
	// SyncDir makes the creations, renames and removals in a directory durable.
	SyncDir(name string) error
	// Lock takes an exclusive lock that ends with the process or with Close.
	// A lock that another holder has gives a *LockedError.
	Lock(name string) (io.Closer, error)
	Close() error
}

// LockedError says who holds a lock.
type LockedError struct {
	Name   string
	Holder string // what the holder wrote about itself: its process id
}

func (e *LockedError) Error() string {
	if e.Holder == "" {
		return fmt.Sprintf("%s is locked", e.Name)
	}
	return fmt.Sprintf("%s is locked by process %s", e.Name, e.Holder)
}

// Mapping is a file's content in memory. Reading it after Close, or past a
// size that the file was cut to meanwhile, is a memory fault.
type Mapping struct {
	Data  []byte
	unmap func([]byte) error
}

// Close releases the mapping. A second Close is nil.
func (m *Mapping) Close() error {
	if m == nil || m.unmap == nil {
		return nil
	}
	data, unmap := m.Data, m.unmap
	m.Data, m.unmap = nil, nil
	return unmap(data)
}

// WriteFile writes data to name and makes it durable, atomically: a crash
// leaves the old content or the new. tmp is a name in the same directory for
// the file while it is written; dir is that directory.
func WriteFile(fsys FS, dir, tmp, name string, data []byte) error {
	f, err := fsys.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fsys.Rename(tmp, name)
	}
	if err != nil {
		_ = fsys.Remove(tmp)
		return err
	}
	if err := fsys.SyncDir(dir); err != nil {
		return fmt.Errorf("%w: %w", ErrUncertain, err)
	}
	return nil
}

// ErrUncertain: WriteFile has replaced the file, but a crash may bring the old
// one back.
var ErrUncertain = errors.New("the replaced file may come back")

func writeEach(w io.Writer, bufs [][]byte) error {
	for _, b := range bufs {
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// ReadFile reads the whole of name, refusing files larger than limit bytes.
func ReadFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("%s: %d bytes exceed the limit of %d", name, size, limit)
	}
	data := make([]byte, size)
	n, err := f.ReadAt(data, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return data[:n], err
}
