package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
)

// loopParallelism bounds the goroutines that a fall-back uses on a store
// without bulk calls: enough to hide a network's latency, few enough to leave a
// connection pool to others.
const loopParallelism = 16

// GetMany reads keys from s, by its GetMany where it has one and by parallel
// Gets otherwise. Missing keys are absent from the map. The map is never nil,
// and holds what could be read even when err is not nil; see KeyError.
func GetMany(ctx context.Context, s Store, keys []string) (map[string]Entry, error) {
	if b, ok := s.(BatchGetter); ok {
		m, err := b.GetMany(ctx, keys)
		if m == nil {
			m = map[string]Entry{}
		}
		return m, err
	}
	var mu sync.Mutex
	found := make(map[string]Entry, len(keys))
	err := each(ctx, keys, func(key string) error {
		e, err := s.Get(ctx, key)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		mu.Lock()
		found[key] = e
		mu.Unlock()
		return nil
	})
	return found, err
}

// GetEach reads keys[i] from s into answers[i], by its GetEach where it has one and as
// GetMany does otherwise. answers is as long as keys, or longer; what it held is
// overwritten. Where the error is not nil, the answers hold what could be read; see
// KeyError.
func GetEach(ctx context.Context, s Store, keys []string, answers []Answer) error {
	answers = answers[:len(keys)]
	clear(answers)
	if b, ok := s.(EachGetter); ok {
		return b.GetEach(ctx, keys, answers)
	}
	found, err := GetMany(ctx, s, keys)
	for i, key := range keys {
		if e, ok := found[key]; ok {
			answers[i] = Answer{e, true}
		}
	}
	return err
}

// Versions returns the versions of those keys that s holds, by its Versions where it
// has one and by GetMany otherwise. The map is never nil, and holds what could be read
// even when err is not nil; see KeyError.
func Versions(ctx context.Context, s Store, keys []string) (map[string]uint64, error) {
	if v, ok := s.(Versioner); ok {
		m, err := v.Versions(ctx, keys)
		if m == nil {
			m = map[string]uint64{}
		}
		return m, err
	}
	found, err := GetMany(ctx, s, keys)
	versions := make(map[string]uint64, len(found))
	for key, e := range found {
		versions[key] = e.Version
	}
	return versions, err
}

// SetMany writes entries to s, by its SetMany where it has one and by parallel
// Sets otherwise. The batch is not atomic; see KeyError for what failed.
func SetMany(ctx context.Context, s Store, entries map[string]Entry) error {
	if b, ok := s.(BatchSetter); ok {
		return b.SetMany(ctx, entries)
	}
	keys := make([]string, 0, len(entries))
	for k := range entries {
		keys = append(keys, k)
	}
	return each(ctx, keys, func(key string) error { return s.Set(ctx, key, entries[key]) })
}

// DeleteMany removes keys from s, by its DeleteMany where it has one and by
// parallel Deletes otherwise.
func DeleteMany(ctx context.Context, s Store, keys []string) error {
	if b, ok := s.(BatchDeleter); ok {
		return b.DeleteMany(ctx, keys)
	}
	return each(ctx, keys, func(key string) error { return s.Delete(ctx, key) })
}

// each calls f for every key with bounded parallelism and gathers the failures
// in a *BatchError. Once ctx ends, the remaining keys fail with its error.
func each(ctx context.Context, keys []string, f func(key string) error) error {
	if len(keys) == 0 {
		return nil
	}
	if len(keys) == 1 {
		var be *BatchError
		if err := f(keys[0]); err != nil {
			be = be.Add(keys[0], err)
		}
		return be.ErrOrNil()
	}
	var (
		mu   sync.Mutex
		be   *BatchError
		wg   sync.WaitGroup
		next = make(chan string)
	)
	fail := func(key string, err error) {
		mu.Lock()
		be = be.Add(key, err)
		mu.Unlock()
	}
	for range min(loopParallelism, len(keys)) {
		wg.Go(func() {
			for key := range next {
				if err := f(key); err != nil {
					fail(key, err)
				}
			}
		})
	}
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			fail(key, err)
			continue
		}
		next <- key
	}
	close(next)
	wg.Wait()
	return be.ErrOrNil()
}

// Fill stores e in s unless s holds an entry of key that is not older, by its
// Fill where it has one. Otherwise it reads, compares and writes, which is not
// atomic: the caller must keep other writers of the key away meanwhile.
func Fill(ctx context.Context, s Store, key string, e Entry) (stored bool, err error) {
	if f, ok := s.(Filler); ok {
		return f.Fill(ctx, key, e)
	}
	old, err := s.Get(ctx, key)
	switch {
	case err == nil && !Newer(e.Version, old.Version):
		return false, nil
	case err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrCorrupt):
		return false, err
	}
	if err := s.Set(ctx, key, e); err != nil {
		return false, err
	}
	return true, nil
}

// Replace stores e in s unless s holds an entry of key that is neither older nor
// old, the one that the caller has read; by its Replace where it has one. Otherwise
// it fills, and reads, compares and writes where that was refused, which is not
// atomic: the caller must keep other writers of the key away meanwhile.
func Replace(ctx context.Context, s Store, key string, old, e Entry) (stored bool, err error) {
	if r, ok := s.(Replacer); ok {
		return r.Replace(ctx, key, old, e)
	}
	if stored, err = Fill(ctx, s, key, e); stored || err != nil {
		return stored, err
	}
	now, err := s.Get(ctx, key)
	switch {
	case errors.Is(err, ErrNotFound):
		return Fill(ctx, s, key, e)
	case err != nil:
		return false, err
	case now.Version != old.Version || !bytes.Equal(now.Value, old.Value):
		return false, nil
	}
	if err := s.Set(ctx, key, e); err != nil {
		return false, err
	}
	return true, nil
}

// FillMany is Fill for each entry, by the store's FillMany where it has one and by
// parallel Fills otherwise; see KeyError for what failed.
func FillMany(ctx context.Context, s Store, entries map[string]Entry) error {
	if f, ok := s.(BatchFiller); ok {
		return f.FillMany(ctx, entries)
	}
	keys := make([]string, 0, len(entries))
	for k := range entries {
		keys = append(keys, k)
	}
	return each(ctx, keys, func(key string) error {
		_, err := Fill(ctx, s, key, entries[key])
		return err
	})
}

// SetNewer writes entries to s but for keys of which s holds a later version, by its
// SetNewer where it has one and by FillMany otherwise.
func SetNewer(ctx context.Context, s Store, entries map[string]Entry) error {
	if n, ok := s.(NewerSetter); ok {
		return n.SetNewer(ctx, entries)
	}
	return FillMany(ctx, s, entries)
}

// Scan yields the keys of s that begin with prefix; see Scanner. A store that
// cannot list its keys yields an error for which errors.Is(err,
// errors.ErrUnsupported) holds.
func Scan(ctx context.Context, s Store, prefix string) iter.Seq2[string, error] {
	if sc, ok := s.(Scanner); ok {
		return sc.Scan(ctx, prefix)
	}
	return func(yield func(string, error) bool) {
		yield("", unsupported(s, "scan"))
	}
}

// Clear removes all that s holds. A store without Clear is scanned and its keys
// deleted; one that can do neither gives an error for which errors.Is(err,
// errors.ErrUnsupported) holds.
func Clear(ctx context.Context, s Store) error {
	if c, ok := s.(Clearer); ok {
		return c.Clear(ctx)
	}
	if _, ok := s.(Scanner); !ok {
		return unsupported(s, "clear")
	}
	const batch = 512
	keys := make([]string, 0, batch)
	for key, err := range Scan(ctx, s, "") {
		if err != nil {
			return err
		}
		if keys = append(keys, key); len(keys) == batch {
			if err := DeleteMany(ctx, s, keys); err != nil {
				return err
			}
			keys = keys[:0]
		}
	}
	return DeleteMany(ctx, s, keys)
}

// Sync makes what s has acknowledged durable. A store without Sync holds nothing
// back, and there is nothing to do.
func Sync(ctx context.Context, s Store) error {
	if y, ok := s.(Syncer); ok {
		return y.Sync(ctx)
	}
	return nil
}

// StatsOf returns the counters of s; ok is false where it keeps none.
func StatsOf(s Store) (st Stats, ok bool) {
	if c, ok := s.(Statser); ok {
		return c.Stats(), true
	}
	return Stats{}, false
}

func unsupported(s Store, op string) error {
	return &Error{Op: op, Tier: fmt.Sprintf("%T", s), Err: errors.ErrUnsupported}
}
