package table

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"unsafe"

	"github.com/stratacache/strata/store"
)

// Get appends the content of the table rel to dst and returns the extended
// slice. want is the content that the caller expects: anything else in the file
// is store.ErrCorrupt. A missing file is fs.ErrNotExist.
func (d *Dir) Get(dst []byte, rel string, want Sum) ([]byte, error) {
	n := len(dst)
	err := d.View(rel, want, func(data []byte) error {
		dst = append(dst, data...)
		return nil
	})
	if err != nil {
		return dst[:n], err
	}
	return dst, nil
}

// View calls f with the content of the table rel, which f must neither modify
// nor keep: it may be gone when View returns. It is Get without the copy. Should
// the file be cut short by others meanwhile, f is left by a panic that View
// turns into an error.
func (d *Dir) View(rel string, want Sum, f func(data []byte) error) error {
	m, err := d.acquire(rel, want)
	if err != nil {
		return err
	}
	defer m.done()
	err = guard(m, f)
	if errors.Is(err, errFault) {
		d.cache.dropThis(m)
	}
	return err
}

// Held is the content of a table that a caller has borrowed.
type Held struct{ m *mapping }

// Data is the content. It is read-only, and valid until Release.
func (h Held) Data() []byte { return h.m.data }

// Release ends the use of Data. It must be called once.
func (h Held) Release() { h.m.done() }

// Hold returns the content of the table rel for as long as the caller wants,
// whatever becomes of the file. Data is read under the caller's own guard.
func (d *Dir) Hold(rel string, want Sum) (Held, error) {
	m, err := d.acquire(rel, want)
	return Held{m}, err
}

// acquire returns a mapping of the file with the content want, held for the
// caller.
func (d *Dir) acquire(rel string, want Sum) (*mapping, error) {
	m, err := d.cache.get(rel)
	if err != nil {
		return nil, err
	}
	if m != nil {
		if want == (Sum{}) || m.sum == want {
			return m, nil
		}
		// Another process may have replaced the file: look again.
		d.cache.dropThis(m)
		m.done()
	}
	if _, err := checkRel(rel); err != nil {
		return nil, err
	}
	// Under the lock, so that no mapping of a file that Commit replaces
	// meanwhile enters the cache after Commit cleared it.
	defer d.lock(rel)()
	if m, err = d.open(rel); err != nil {
		return nil, err
	}
	if want != (Sum{}) && m.sum != want {
		got := m.sum
		m.done()
		return nil, fmt.Errorf("table %s: %d bytes with checksum %08x, want %d with %08x: %w",
			rel, got.Size, got.CRC, want.Size, want.CRC, store.ErrCorrupt)
	}
	d.cache.add(m)
	return m, nil
}

// open maps the file and computes its sum.
func (d *Dir) open(rel string) (*mapping, error) {
	name := rel + "/" + fileName
	info, err := d.fs.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("table %s: not a regular file: %w", rel, store.ErrCorrupt)
	}
	f, err := d.fs.Open(name)
	if err != nil {
		return nil, err
	}
	m := &mapping{rel: rel}
	m.file, err = f.Map()
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("table %s: %w", rel, err)
	}
	m.data = m.file.Data
	m.file.WillNeed()
	m.refs.Store(1)
	err = guard(m, func(data []byte) error {
		m.sum = SumOf(data)
		return nil
	})
	if err != nil {
		m.done()
		return nil, err
	}
	return m, nil
}

// errFault is in the chain of errors of files that shrank under their mapping.
var errFault = errors.New("the file was cut short while it was read")

// guard calls f with the content of m. A page of the mapping that lies behind
// the end of the file by now raises a fault, which becomes an error here.
func guard(m *mapping, f func([]byte) error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		r := recover()
		if r == nil {
			return
		}
		if !m.faulted(r) {
			panic(r)
		}
		err = fmt.Errorf("table %s: %w: %w", m.rel, errFault, store.ErrCorrupt)
	}()
	return f(m.data)
}

// faulted reports whether r is a fault at an address of the mapping.
func (m *mapping) faulted(r any) bool {
	rerr, ok := r.(runtime.Error)
	if !ok || len(m.data) == 0 {
		return false
	}
	fault, ok := rerr.(interface{ Addr() uintptr })
	if !ok {
		return false
	}
	base := uintptr(unsafe.Pointer(unsafe.SliceData(m.data)))
	return fault.Addr() >= base && fault.Addr()-base < uintptr(len(m.data))
}

// Stats returns how many mappings are kept and the sum of their sizes.
func (d *Dir) Stats() (open int, bytes int64) { return d.cache.stats() }
