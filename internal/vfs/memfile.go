package vfs

import (
	"io"
	"io/fs"
	"time"
)

type memInfo struct {
	name string
	size int64
	dir  bool
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) IsDir() bool        { return i.dir }
func (i memInfo) Sys() any           { return nil }

func (i memInfo) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}

type memFile struct {
	fs       *MemFS
	node     *memNode
	name     string
	pos      int64
	writable bool
}

func (f *memFile) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, f.pos)
	f.pos += int64(n)
	return n, err
}

func (f *memFile) WriteAll(bufs [][]byte) error { return writeEach(f, bufs) }

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if !f.writable {
		return 0, pathErr("write", f.name, fs.ErrPermission)
	}
	f.node.grow(off + int64(len(p)))
	return copy(f.node.data[off:], p), nil
}

func (n *memNode) grow(size int64) {
	if d := size - int64(len(n.data)); d > 0 {
		n.data = append(n.data, make([]byte, d)...)
	}
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if off < 0 || off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.node.synced = append(f.node.synced[:0], f.node.data...)
	return nil
}

func (f *memFile) Datasync() error { return f.Sync() }

func (f *memFile) WriteBack(int64, int64) {}

func (f *memFile) Allocate(int64) {}

func (f *memFile) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.node.data)), nil
}

func (f *memFile) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if size <= int64(len(f.node.data)) {
		f.node.data = f.node.data[:size:size]
	}
	f.node.grow(size)
	return nil
}

// Map copies: the mapping does not follow later writes, which no reader of a
// sealed file depends on.
func (f *memFile) Map() (*Mapping, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return &Mapping{Data: append([]byte(nil), f.node.data...)}, nil
}

func (f *memFile) Close() error { return nil }
