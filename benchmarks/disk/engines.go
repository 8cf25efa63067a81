package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/dgraph-io/badger/v4"
	"go.etcd.io/bbolt"

	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore"
)

// engine is a store under test.
type engine interface {
	// get appends the value of key to dst. It reports whether there is one.
	get(dst []byte, key []byte) ([]byte, bool, error)
	// own returns the value of key in memory of the caller's own.
	own(key []byte) ([]byte, bool, error)
	put(key, value []byte) error
	// load writes keys [0, n) to an empty store, each once and in ascending order,
	// in the way that the engine's authors made for it. When it returns all of
	// them are on the disk, and a get finds them.
	load(n int, key, value func(i int) []byte) error
	// flush makes what was written durable and as fast to read as it gets.
	flush() error
	close() error
}

// settings are what all engines are opened with.
type settings struct {
	sync bool // each put is on the disk when it returns
}

// The peers' owned copy: a get that allocates what it returns.
func (e *pebbleDB) own(key []byte) ([]byte, bool, error) { return e.get(nil, key) }
func (e *bolt) own(key []byte) ([]byte, bool, error)     { return e.get(nil, key) }
func (e *badgerDB) own(key []byte) ([]byte, bool, error) { return e.get(nil, key) }
func (e *files) own(key []byte) ([]byte, bool, error)    { return e.get(nil, key) }

type opener func(dir string, s settings) (engine, error)

// engines are the stores, strata first.
var engines = []struct {
	name string
	open opener
}{
	{"strata", openStrata},
	{"pebble", openPebble},
	{"bbolt", openBolt},
	{"badger", openBadger},
	{"files", openFiles},
}

type strata struct{ s *diskstore.Store }

func openStrata(dir string, set settings) (engine, error) {
	o := &diskstore.Options{}
	if set.sync {
		o.Sync = diskstore.SyncAlways
	}
	s, err := diskstore.Open(dir, o)
	return strata{s}, err
}

var ctx = context.Background()

// text is a key as strata wants it: programs have strings at hand, as they have
// bytes for the others.
func text(key []byte) string { return unsafe.String(unsafe.SliceData(key), len(key)) }

func (e strata) get(dst, key []byte) ([]byte, bool, error) {
	dst, _, err := e.s.Append(ctx, dst, text(key))
	if errors.Is(err, store.ErrNotFound) {
		return dst, false, nil
	}
	return dst, err == nil, err
}

func (e strata) own(key []byte) ([]byte, bool, error) {
	en, err := e.s.Get(ctx, text(key))
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, nil
	}
	return en.Value, err == nil, err
}

func (e strata) put(key, value []byte) error {
	return e.s.Set(ctx, string(key), store.Entry{Value: value})
}

func (e strata) load(n int, key, value func(int) []byte) error {
	return e.s.Load(ctx, func(yield func(string, store.Entry) bool) {
		for i := range n {
			if !yield(string(key(i)), store.Entry{Value: value(i)}) {
				return
			}
		}
	})
}

func (e strata) flush() error { return errors.Join(e.s.Flush(ctx), e.s.Compact(ctx)) }
func (e strata) close() error { return e.s.Close() }

type pebbleDB struct {
	db    *pebble.DB
	dir   string
	write *pebble.WriteOptions
}

func openPebble(dir string, set settings) (engine, error) {
	opts := &pebble.Options{
		Cache:  pebble.NewCache(256 << 20),
		Logger: quiet{},
	}
	defer opts.Cache.Unref()
	db, err := pebble.Open(dir, opts)
	w := pebble.NoSync
	if set.sync {
		w = pebble.Sync
	}
	return &pebbleDB{db, dir, w}, err
}

type quiet struct{}

func (quiet) Infof(string, ...any)      {}
func (quiet) Errorf(string, ...any)     {}
func (quiet) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

func (e *pebbleDB) get(dst, key []byte) ([]byte, bool, error) {
	v, c, err := e.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, err
	}
	dst = append(dst, v...)
	return dst, true, c.Close()
}

func (e *pebbleDB) put(key, value []byte) error { return e.db.Set(key, value, e.write) }

// load writes a sorted table and ingests it, which is what pebble does fastest.
// The keys come in order: pebble has nothing to sort.
func (e *pebbleDB) load(n int, key, value func(int) []byte) error {
	name := e.dir + "-ingest.sst"
	f, err := vfs.Default.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), sstable.WriterOptions{
		TableFormat: e.db.TableFormat(), Compression: sstable.NoCompression,
	})
	for i := range n {
		if err := w.Set(key(i), value(i)); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return e.db.Ingest(ctx, []string{name})
}

func (e *pebbleDB) flush() error {
	if err := e.db.Flush(); err != nil {
		return err
	}
	return e.db.Compact(ctx, []byte{0}, []byte{0xff}, true)
}
func (e *pebbleDB) close() error { return e.db.Close() }

type bolt struct{ db *bbolt.DB }

var bucket = []byte("b")

func openBolt(dir string, set settings) (engine, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	db, err := bbolt.Open(filepath.Join(dir, "bolt"), 0o644, &bbolt.Options{NoSync: !set.sync, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	return &bolt{db}, err
}

func (e *bolt) get(dst, key []byte) (out []byte, ok bool, err error) {
	out = dst
	err = e.db.View(func(tx *bbolt.Tx) error {
		v := tx.Bucket(bucket).Get(key)
		ok = v != nil
		out = append(dst, v...)
		return nil
	})
	return out, ok, err
}

// put uses Batch, which groups concurrent writers; a lone one would wait for
// company.
func (e *bolt) put(key, value []byte) error {
	return e.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put(key, value) })
}

func (e *bolt) putShared(key, value []byte) error {
	return e.db.Batch(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put(key, value) })
}

func (e *bolt) load(n int, key, value func(int) []byte) error {
	const batch = 10_000
	for from := 0; from < n; from += batch {
		err := e.db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(bucket)
			b.FillPercent = 0.95
			for i := from; i < min(n, from+batch); i++ {
				if err := b.Put(key(i), value(i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return e.db.Sync()
}

func (e *bolt) flush() error { return e.db.Sync() }
func (e *bolt) close() error { return e.db.Close() }

type badgerDB struct{ db *badger.DB }

func openBadger(dir string, set settings) (engine, error) {
	db, err := badger.Open(badger.DefaultOptions(dir).WithLogger(nil).WithSyncWrites(set.sync).WithMetricsEnabled(false).WithBlockCacheSize(256 << 20))
	return &badgerDB{db}, err
}

func (e *badgerDB) get(dst, key []byte) (out []byte, ok bool, err error) {
	out = dst
	err = e.db.View(func(tx *badger.Txn) error {
		it, err := tx.Get(key)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		ok = true
		return it.Value(func(v []byte) error {
			out = append(dst, v...)
			return nil
		})
	})
	return out, ok, err
}

func (e *badgerDB) put(key, value []byte) error {
	return e.db.Update(func(tx *badger.Txn) error { return tx.Set(key, value) })
}

func (e *badgerDB) load(n int, key, value func(int) []byte) error {
	w := e.db.NewWriteBatch()
	defer w.Cancel()
	for i := range n {
		if err := w.Set(append([]byte(nil), key(i)...), value(i)); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return e.db.Sync()
}

func (e *badgerDB) flush() error { return errors.Join(e.db.Sync(), e.db.Flatten(2)) }
func (e *badgerDB) close() error { return e.db.Close() }

type files struct {
	dir  string
	sync bool
}

func openFiles(dir string, set settings) (engine, error) {
	return &files{dir, set.sync}, os.MkdirAll(dir, 0o755)
}

// name spreads the files over directories of some hundred.
func (e *files) name(key []byte) string {
	k := string(key)
	return filepath.Join(e.dir, k[len(k)-3:], k)
}

func (e *files) get(dst, key []byte) ([]byte, bool, error) {
	f, err := os.Open(e.name(key))
	if errors.Is(err, os.ErrNotExist) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return dst, false, err
	}
	n := len(dst)
	dst = append(dst, make([]byte, fi.Size())...)
	_, err = f.ReadAt(dst[n:], 0)
	return dst, err == nil, err
}

func (e *files) put(key, value []byte) error {
	name := e.name(key)
	tmp := name + ".tmp"
	f, err := os.Create(tmp)
	if errors.Is(err, os.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(name), 0o755); err == nil {
			f, err = os.Create(tmp)
		}
	}
	if err != nil {
		return err
	}
	_, err = f.Write(value)
	if err == nil && e.sync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, name); err != nil || !e.sync {
		return err
	}
	d, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// load writes all files and then has the system put all that is dirty on the
// disk, which costs less than a sync of each.
func (e *files) load(n int, key, value func(int) []byte) error {
	for i := range n {
		if err := e.put(key(i), value(i)); err != nil {
			return err
		}
	}
	return syncDisk(e.dir)
}

func (e *files) flush() error { return nil }
func (e *files) close() error { return nil }
