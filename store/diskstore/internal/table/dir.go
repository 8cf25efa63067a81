package table

import (
	"errors"
	"fmt"
	"hash/crc32"
	"hash/maphash"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/stratacache/strata/internal/vfs"
)

// Options adjust a Dir. A nil *Options and zero fields mean the defaults.
type Options struct {
	// MaxOpen is the largest number of mappings kept for later reads; 0 means
	// 1,024. Those that are being read come on top.
	MaxOpen int
	// MaxBytes is the largest sum of their sizes; 0 means 1 GiB. A larger file
	// is mapped for the time of each read.
	MaxBytes int64
	// NoSync leaves out every fsync: after a power failure a table may be
	// missing, old or damaged, which the Sum then shows.
	NoSync bool
}

const (
	defaultMaxOpen  = 1024
	defaultMaxBytes = 1 << 30
	stripes         = 64
)

// Sum identifies the content of a file. The zero Sum means any content.
type Sum struct {
	Size int64
	CRC  uint32 // CRC-32C
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// SumOf returns the sum of data.
func SumOf(data []byte) Sum {
	return Sum{Size: int64(len(data)), CRC: crc32.Checksum(data, castagnoli)}
}

// Dir is the tables of one store's directory.
type Dir struct {
	fs   vfs.FS
	opts Options

	// dirs is held for reading while a temporary file is created and for
	// writing while directories are made or removed. So a directory that a
	// creator finds is durable already, and stays until its file is in it.
	dirs sync.RWMutex
	// locks serialize what is done to one table.
	locks [stripes]sync.Mutex
	seed  maphash.Seed
	cache cache

	mu     sync.Mutex
	staged map[string]struct{} // temporary files in use
}

// Open returns the tables in the store's directory fsys, which stays the
// caller's to close. It reads nothing yet.
func Open(fsys vfs.FS, opts *Options) (*Dir, error) {
	d := &Dir{fs: fsys, seed: maphash.MakeSeed(), staged: map[string]struct{}{}}
	if opts != nil {
		d.opts = *opts
	}
	switch {
	case d.opts.MaxOpen < 0:
		return nil, fmt.Errorf("table: Options.MaxOpen: %d is negative", d.opts.MaxOpen)
	case d.opts.MaxBytes < 0:
		return nil, fmt.Errorf("table: Options.MaxBytes: %d is negative", d.opts.MaxBytes)
	}
	if d.opts.MaxOpen == 0 {
		d.opts.MaxOpen = defaultMaxOpen
	}
	if d.opts.MaxBytes == 0 {
		d.opts.MaxBytes = defaultMaxBytes
	}
	d.cache.init(d.opts.MaxOpen, d.opts.MaxBytes)
	return d, nil
}

// Close releases the mappings, those that are being read when their reader is
// done. Later reads and Stage fail.
func (d *Dir) Close() { d.cache.close() }

// lock locks the table rel and returns the function that unlocks it.
func (d *Dir) lock(rel string) func() {
	mu := &d.locks[maphash.String(d.seed, rel)%stripes]
	mu.Lock()
	return mu.Unlock
}

// makeDir makes the directory rel with its parents, durably. The caller holds
// dirs for writing.
func (d *Dir) makeDir(rel string) error {
	parent := "."
	for i := 0; i <= len(rel); i++ {
		if i < len(rel) && rel[i] != '/' {
			continue
		}
		dir := rel[:i]
		switch err := d.fs.Mkdir(dir); {
		case err == nil:
			if err := d.syncDir(parent); err != nil {
				_ = d.fs.Remove(dir) // or nobody would sync it later
				return err
			}
		case !errors.Is(err, fs.ErrExist):
			return err
		}
		parent = dir
	}
	return nil
}

// prune removes the directory rel and its parents as far as they are empty.
func (d *Dir) prune(rel string) {
	d.dirs.Lock()
	defer d.dirs.Unlock()
	for dir := rel; dir != top && dir != "."; dir = path.Dir(dir) {
		if err := d.fs.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return
		}
	}
}

// syncDir makes the names in a directory durable.
func (d *Dir) syncDir(dir string) error {
	if d.opts.NoSync {
		return nil
	}
	return d.fs.SyncDir(dir)
}

// Temporary files are ".strata-<version>.tmp", the version as 16 hex digits.
const tempPrefix, tempSuffix = ".strata-", ".tmp"

func tempFile(rel string, version uint64) string {
	return fmt.Sprintf("%s/%s%016x%s", rel, tempPrefix, version, tempSuffix)
}

func isTemp(name string) bool {
	return strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}
