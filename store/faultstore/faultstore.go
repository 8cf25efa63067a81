package faultstore

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/stratacache/strata/store"
)

// tier is the Tier of the errors that this package makes.
const tier = "faultstore"

// Store is a store with faults. It is safe for concurrent use.
type Store struct {
	inner store.Store

	mu      sync.Mutex
	faults  []*injected
	calls   [numOps]int
	hanging map[chan struct{}]struct{}
}

var (
	_ store.Store        = (*Store)(nil)
	_ store.BatchGetter  = (*Store)(nil)
	_ store.BatchSetter  = (*Store)(nil)
	_ store.BatchDeleter = (*Store)(nil)
	_ store.Filler       = (*Store)(nil)
	_ store.Replacer     = (*Store)(nil)
	_ store.Toucher      = (*Store)(nil)
	_ store.Scanner      = (*Store)(nil)
	_ store.Clearer      = (*Store)(nil)
	_ store.Syncer       = (*Store)(nil)
	_ store.Statser      = (*Store)(nil)
)

// New wraps s. Without faults it behaves as s does.
func New(s store.Store) *Store {
	return &Store{inner: s, hanging: map[chan struct{}]struct{}{}}
}

// Inject adds faults, which take effect for calls that begin from now on. remove
// takes them back and may be called more than once; a call already hanging or
// delayed by them is not affected.
func (s *Store) Inject(f ...Fault) (remove func()) {
	added := make([]*injected, len(f))
	for i := range f {
		added[i] = &injected{Fault: f[i]}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, added...)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = slices.DeleteFunc(s.faults, func(x *injected) bool { return slices.Contains(added, x) })
	}
}

// Release lets the calls that hang at this moment go on with their operation.
// The faults stay.
func (s *Store) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ch := range s.hanging {
		close(ch)
	}
	clear(s.hanging)
}

// Reset removes all faults, releases what hangs and sets the counts of calls to
// zero.
func (s *Store) Reset() {
	s.Release()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
	s.calls = [numOps]int{}
}

// Calls returns how many calls of the operations in op have begun, whether a
// fault hit them or not.
func (s *Store) Calls(op Op) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for i, c := range s.calls {
		if op&(1<<i) != 0 {
			n += c
		}
	}
	return n
}

// Hanging returns how many calls hang at this moment.
func (s *Store) Hanging() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.hanging)
}

// Unwrap returns the store inside.
func (s *Store) Unwrap() store.Store { return s.inner }

// begin counts the call and returns the faults that hit it.
func (s *Store) begin(op Op, keys []string) []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.calls {
		if op == 1<<i {
			s.calls[i]++
		}
	}
	var hit []Fault
	for _, f := range s.faults {
		if f.selects(op, keys) && f.hits() {
			hit = append(hit, f.Fault)
		}
	}
	return hit
}

// wait does the hooks, delays and hangs of the faults.
func (s *Store) wait(ctx context.Context, op Op, keys []string, hit []Fault) error {
	for i := range hit {
		f := &hit[i]
		if f.Do != nil {
			for _, key := range keys {
				if f.has(key) {
					f.Do(op, key)
				}
			}
		}
		if err := sleep(ctx, f.Delay); err != nil {
			return err
		}
		if f.Hang {
			if err := s.hang(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) hang(ctx context.Context) error {
	ch := make(chan struct{})
	s.mu.Lock()
	s.hanging[ch] = struct{}{}
	s.mu.Unlock()
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		s.mu.Lock()
		delete(s.hanging, ch)
		s.mu.Unlock()
		return ctx.Err()
	}
}

// verdict returns the first error of the faults for key, and whether the
// operation is done all the same.
func verdict(hit []Fault, op Op, key string) (err error, afterOp bool) { //nolint:revive // the error is the subject here
	for i := range hit {
		if f := &hit[i]; f.Err != nil && f.has(key) {
			return wrap(op, key, f.Err), f.AfterOp
		}
	}
	return nil, false
}

// wrap makes err what a store may return.
func wrap(op Op, key string, err error) error {
	var se *store.Error
	if err == store.ErrNotFound || errors.As(err, &se) { //nolint:errorlint // only the bare sentinel is a miss
		return err
	}
	return &store.Error{Op: op.String(), Tier: tier, Key: key, Err: err}
}

// do runs an operation of one key under the faults.
func (s *Store) do(ctx context.Context, op Op, key string, f func() error) error {
	hit := s.begin(op, []string{key})
	if len(hit) == 0 {
		return f()
	}
	if err := s.wait(ctx, op, []string{key}, hit); err != nil {
		return wrap(op, key, err)
	}
	err, afterOp := verdict(hit, op, key)
	if err == nil {
		return f()
	}
	if afterOp {
		_ = f() // the acknowledgement is what gets lost, whatever it was
	}
	return err
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (e store.Entry, err error) {
	err = s.do(ctx, OpGet, key, func() (err error) {
		e, err = s.inner.Get(ctx, key)
		return err
	})
	if err != nil {
		return store.Entry{}, err
	}
	return e, nil
}

// Set implements store.Store.
func (s *Store) Set(ctx context.Context, key string, e store.Entry) error {
	return s.do(ctx, OpSet, key, func() error { return s.inner.Set(ctx, key, e) })
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.do(ctx, OpDelete, key, func() error { return s.inner.Delete(ctx, key) })
}

// Fill implements store.Filler, by store.Fill.
func (s *Store) Fill(ctx context.Context, key string, e store.Entry) (stored bool, err error) {
	err = s.do(ctx, OpFill, key, func() (err error) {
		stored, err = store.Fill(ctx, s.inner, key, e)
		return err
	})
	return stored && err == nil, err
}

// Replace implements store.Replacer, by store.Replace. It counts as a Fill.
func (s *Store) Replace(ctx context.Context, key string, old, e store.Entry) (stored bool, err error) {
	err = s.do(ctx, OpFill, key, func() (err error) {
		stored, err = store.Replace(ctx, s.inner, key, old, e)
		return err
	})
	return stored && err == nil, err
}

// Touch implements store.Toucher where the inner store does. It counts as a Fill.
func (s *Store) Touch(ctx context.Context, key string, old, e store.Entry) (touched bool, err error) {
	inner, ok := s.inner.(store.Toucher)
	if !ok {
		return false, nil
	}
	err = s.do(ctx, OpFill, key, func() (err error) {
		touched, err = inner.Touch(ctx, key, old, e)
		return err
	})
	return touched && err == nil, err
}

// Scan implements store.Scanner, by store.Scan. An error with AfterOp comes
// after the last key.
func (s *Store) Scan(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		hit := s.begin(OpScan, []string{prefix})
		if err := s.wait(ctx, OpScan, []string{prefix}, hit); err != nil {
			yield("", wrap(OpScan, prefix, err))
			return
		}
		err, afterOp := verdict(hit, OpScan, prefix)
		if err != nil && !afterOp {
			yield("", err)
			return
		}
		for key, ierr := range store.Scan(ctx, s.inner, prefix) {
			if !yield(key, ierr) || ierr != nil {
				return
			}
		}
		if err != nil {
			yield("", err)
		}
	}
}

// Clear implements store.Clearer, by store.Clear.
func (s *Store) Clear(ctx context.Context) error {
	return s.do(ctx, OpClear, "", func() error { return store.Clear(ctx, s.inner) })
}

// Sync implements store.Syncer, by store.Sync.
func (s *Store) Sync(ctx context.Context) error {
	return s.do(ctx, OpSync, "", func() error { return store.Sync(ctx, s.inner) })
}

// Stats returns the counters of the inner store, all zero where it keeps none.
func (s *Store) Stats() store.Stats {
	st, _ := store.StatsOf(s.inner)
	return st
}

// Close closes the inner store.
func (s *Store) Close() error {
	return s.do(context.Background(), OpClose, "", s.inner.Close)
}
