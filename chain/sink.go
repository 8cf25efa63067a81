package chain

import (
	"context"

	"github.com/stratacache/strata/store"
)

// Write is one operation on its way to a Sink.
type Write struct {
	Key string
	// Entry is what to store under Key: its Version says which of two writes of
	// a key is the newer one. Where Delete is set it has nothing but a version.
	Entry  store.Entry
	Delete bool
}

// Sink takes writes into a system of record, a database or an API, as the last
// tier of a chain: see [FromSink].
type Sink interface {
	// WriteMany carries out writes, which are in the order of their versions,
	// each of another key. It may be called again with writes that it carried
	// out before, after a failure or a crash, and must then leave the same
	// state. A *store.BatchError says which keys failed; any other error means
	// that all did, or that it is not known which.
	WriteMany(ctx context.Context, writes []Write) error
}

// SinkReader is a Sink that can be read.
type SinkReader interface {
	Sink
	// Get returns the entry of key, or store.ErrNotFound.
	Get(ctx context.Context, key string) (store.Entry, error)
}

// SinkFunc is a function as a Sink that cannot be read.
type SinkFunc func(ctx context.Context, writes []Write) error

// WriteMany implements Sink.
func (f SinkFunc) WriteMany(ctx context.Context, writes []Write) error { return f(ctx, writes) }

// FromSink returns s as the store of a chain's last tier. Sets and deletes reach
// it like those of any tier, in particular by write-back, and differ from them in
// what a system of record needs:
//
//   - What was only read or loaded is not written into it, nor are keys removed
//     that a loader did not find.
//   - A write that has expired while it waited is written all the same.
//   - A write that is given up leaves what the sink has.
//   - Clear empties the caches in front of it, and neither the sink nor the
//     writes that wait for it.
//
// Get asks s if it is a SinkReader, and finds nothing otherwise. If s has a method
// Close() error, closing the chain calls it; if it is a store.Syncer, the journal
// of durable rules calls it before it lets go of what s has taken. A sink without
// Sync must have made durable what it took when WriteMany returns.
func FromSink(s Sink) store.Store { return &sinkStore{s} }

// sinkStore is a sink as a store. The chain's queue writes to the sink itself.
type sinkStore struct{ Sink }

var (
	_ store.Store       = (*sinkStore)(nil)
	_ store.BatchGetter = (*sinkStore)(nil)
	_ store.Syncer      = (*sinkStore)(nil)
)

// Get implements store.Store.
func (s *sinkStore) Get(ctx context.Context, key string) (store.Entry, error) {
	if r, ok := s.Sink.(SinkReader); ok {
		return r.Get(ctx, key)
	}
	return store.Entry{}, store.ErrNotFound
}

// GetMany implements store.BatchGetter, so that a sink which reads batches is
// asked for them.
func (s *sinkStore) GetMany(ctx context.Context, keys []string) (map[string]store.Entry, error) {
	switch r := s.Sink.(type) {
	case store.BatchGetter:
		return r.GetMany(ctx, keys)
	case SinkReader:
		return store.GetMany(ctx, getter{s}, keys)
	default:
		return nil, nil
	}
}

// getter hides GetMany from the fall-back of store.GetMany.
type getter struct{ store.Store }

// Set implements store.Store.
func (s *sinkStore) Set(ctx context.Context, key string, e store.Entry) error {
	return s.one(ctx, Write{Key: key, Entry: e})
}

// Delete implements store.Store.
func (s *sinkStore) Delete(ctx context.Context, key string) error {
	return s.one(ctx, Write{Key: key, Delete: true})
}

func (s *sinkStore) one(ctx context.Context, w Write) error {
	return store.KeyError(s.WriteMany(ctx, []Write{w}), w.Key)
}

// Sync implements store.Syncer.
func (s *sinkStore) Sync(ctx context.Context) error {
	if y, ok := s.Sink.(store.Syncer); ok {
		return y.Sync(ctx)
	}
	return nil
}

// Close implements store.Store.
func (s *sinkStore) Close() error {
	if c, ok := s.Sink.(interface{ Close() error }); ok {
		return c.Close()
	}
	return nil
}
