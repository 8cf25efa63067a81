package vfs

import (
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"sort"
	"strings"
	"sync"
)

// MemFS is a file system in memory that remembers what was synced. Safe for
// concurrent use. A file that a directory lost stays readable by those who have
// it open, as on Unix.
type MemFS struct {
	mu    sync.Mutex
	now   map[string]*memNode // the tree as programs see it; directories too
	disk  map[string]*memNode // the tree as a crash would leave it
	locks map[string]bool
}

// memNode is a file or a directory. Nodes are shared by both trees.
type memNode struct {
	dir    bool
	data   []byte
	synced []byte
}

// Mem returns an empty file system.
func Mem() *MemFS {
	root := &memNode{dir: true}
	return &MemFS{now: map[string]*memNode{".": root}, disk: map[string]*memNode{".": root}, locks: map[string]bool{}}
}

// crashBlock is the unit in which unsynced data reaches the disk on its own.
const crashBlock = 512

// CrashClone returns what a machine that lost power now would find: all that
// was synced, and of the rest each block or directory change with probability
// keep, in any order. A rename is one change, as journaling file systems have it.
// Locks are gone.
func (m *MemFS) CrashClone(rng *rand.Rand, keep float64) *MemFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := Mem()
	names := make(map[string]*memNode, len(m.disk))
	for name, n := range m.disk {
		names[name] = n
	}
	from := m.renames()
	for _, name := range sortedNames(m.now) {
		if n := m.now[name]; m.disk[name] != n && rng.Float64() < keep {
			names[name] = n
			delete(names, from[name]) // a rename happens as a whole
		}
	}
	renamed := map[string]bool{}
	for _, old := range from {
		renamed[old] = true
	}
	for _, name := range sortedNames(m.disk) {
		if m.now[name] == nil && !renamed[name] && rng.Float64() < keep {
			delete(names, name)
		}
	}
	for _, name := range sortedNames(names) { // parents before what is in them
		if p := c.now[path.Dir(name)]; p == nil || !p.dir {
			continue // in a directory that is gone
		}
		n := names[name]
		node := &memNode{dir: n.dir, data: crashData(n, rng, keep)}
		node.synced = append([]byte(nil), node.data...)
		c.now[name], c.disk[name] = node, node
	}
	return c
}

// renames returns the old names of the files that were renamed and whose new
// names are not on the disk.
func (m *MemFS) renames() map[string]string {
	old := map[*memNode]string{}
	for name, n := range m.disk {
		if m.now[name] == nil && !n.dir {
			old[n] = name
		}
	}
	from := map[string]string{}
	for name, n := range m.now {
		if o, ok := old[n]; ok && m.disk[name] != n {
			from[name] = o
		}
	}
	return from
}

func sortedNames(m map[string]*memNode) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func crashData(n *memNode, rng *rand.Rand, keep float64) []byte {
	out := append([]byte(nil), n.synced...)
	for off := 0; off < len(n.data); off += crashBlock {
		if rng.Float64() >= keep {
			continue
		}
		end := min(off+crashBlock, len(n.data))
		if len(out) < end {
			out = append(out, make([]byte, end-len(out))...)
		}
		copy(out[off:end], n.data[off:end])
	}
	return out
}

func pathErr(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

// Create implements FS.
func (m *MemFS) Create(name string) (File, error) { return m.create(name, false) }

// CreateNew implements FS.
func (m *MemFS) CreateNew(name string) (File, error) { return m.create(name, true) }

func (m *MemFS) create(name string, fresh bool) (File, error) {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.now[path.Dir(name)]; p == nil || !p.dir {
		return nil, pathErr("create", name, fs.ErrNotExist)
	}
	n := m.now[name]
	switch {
	case n == nil:
		n = &memNode{}
		m.now[name] = n
	case fresh:
		return nil, pathErr("create", name, fs.ErrExist)
	case n.dir:
		return nil, pathErr("create", name, fs.ErrInvalid)
	}
	n.data = nil
	return &memFile{fs: m, node: n, name: name, writable: true}, nil
}

// Open implements FS.
func (m *MemFS) Open(name string) (File, error) { return m.open(name, false) }

// OpenRW implements FS.
func (m *MemFS) OpenRW(name string) (File, error) { return m.open(name, true) }

func (m *MemFS) open(name string, writable bool) (File, error) {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.now[name]
	if n == nil || n.dir {
		return nil, pathErr("open", name, fs.ErrNotExist)
	}
	return &memFile{fs: m, node: n, name: name, writable: writable}, nil
}

// Rename implements FS. It moves files only.
func (m *MemFS) Rename(from, to string) error {
	from, to = path.Clean(from), path.Clean(to)
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.now[from]
	if p := m.now[path.Dir(to)]; n == nil || n.dir || p == nil || !p.dir {
		return pathErr("rename", from, fs.ErrNotExist)
	}
	delete(m.now, from)
	m.now[to] = n
	return nil
}

// Remove implements FS.
func (m *MemFS) Remove(name string) error {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.now[name]
	if n == nil {
		return pathErr("remove", name, fs.ErrNotExist)
	}
	if n.dir {
		for other := range m.now {
			if strings.HasPrefix(other, name+"/") {
				return pathErr("remove", name, fs.ErrInvalid)
			}
		}
	}
	delete(m.now, name)
	return nil
}

// Stat implements FS.
func (m *MemFS) Stat(name string) (fs.FileInfo, error) {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.now[name]
	if n == nil {
		return nil, pathErr("stat", name, fs.ErrNotExist)
	}
	return memInfo{path.Base(name), int64(len(n.data)), n.dir}, nil
}

// ReadDir implements FS.
func (m *MemFS) ReadDir(name string) ([]fs.DirEntry, error) {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.now[name]; n == nil || !n.dir {
		return nil, pathErr("readdir", name, fs.ErrNotExist)
	}
	var out []fs.DirEntry
	for _, other := range sortedNames(m.now) {
		if other != "." && path.Dir(other) == name {
			n := m.now[other]
			out = append(out, fs.FileInfoToDirEntry(memInfo{path.Base(other), int64(len(n.data)), n.dir}))
		}
	}
	return out, nil
}

// MkdirAll implements FS. New directories are durable at once.
func (m *MemFS) MkdirAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for d := path.Clean(name); m.now[d] == nil; d = path.Dir(d) {
		n := &memNode{dir: true}
		m.now[d], m.disk[d] = n, n
	}
	return nil
}

// Mkdir implements FS.
func (m *MemFS) Mkdir(name string) error {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now[name] != nil {
		return pathErr("mkdir", name, fs.ErrExist)
	}
	if p := m.now[path.Dir(name)]; p == nil || !p.dir {
		return pathErr("mkdir", name, fs.ErrNotExist)
	}
	m.now[name] = &memNode{dir: true}
	return nil
}

// SyncDir implements FS.
func (m *MemFS) SyncDir(name string) error {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.now[name]; n == nil || !n.dir {
		return pathErr("syncdir", name, fs.ErrNotExist)
	}
	for other, n := range m.disk {
		if path.Dir(other) == name && m.now[other] != n {
			m.forget(other)
		}
	}
	for other, n := range m.now {
		if path.Dir(other) == name {
			m.disk[other] = n
		}
	}
	return nil
}

// forget drops a name from the disk, with all that is below it.
func (m *MemFS) forget(name string) {
	delete(m.disk, name)
	for other := range m.disk {
		if strings.HasPrefix(other, name+"/") {
			delete(m.disk, other)
		}
	}
}

// Lock implements FS.
func (m *MemFS) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[name] {
		return nil, &LockedError{Name: name, Holder: "of this test"}
	}
	m.locks[name] = true
	return &memLock{m, name}, nil
}

// Close implements FS; it does nothing, so that a test can open a store again.
func (m *MemFS) Close() error { return nil }

type memLock struct {
	fs   *MemFS
	name string
}

func (l *memLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	delete(l.fs.locks, l.name)
	return nil
}
