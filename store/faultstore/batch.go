package faultstore

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/stratacache/strata/store"
)

// plan is how the faults divide a batch.
type plan struct {
	whole   error             // the call's error, where it fails as a whole
	ask     []string          // the keys for the inner store
	refused *store.BatchError // the keys that fail
}

// batch begins a batch, waits as the faults say and plans it. A whole error
// with keys to ask is a lost acknowledgement.
func (s *Store) batch(ctx context.Context, op Op, keys []string) plan {
	hit := s.begin(op, keys)
	if len(hit) == 0 {
		return plan{ask: keys}
	}
	if err := s.wait(ctx, op, keys, hit); err != nil {
		return plan{whole: wrap(op, "", err)}
	}
	for i := range hit {
		if f := &hit[i]; f.Err != nil && f.Key == nil {
			p := plan{whole: wrap(op, "", f.Err)}
			if f.AfterOp {
				p.ask = keys
			}
			return p
		}
	}
	var p plan
	for _, key := range keys {
		err, afterOp := verdict(hit, op, key)
		if err != nil {
			p.refused = p.refused.Add(key, err)
		}
		if err == nil || afterOp {
			p.ask = append(p.ask, key)
		}
	}
	return p
}

// result merges the inner store's error into the plan's.
func (p *plan) result(err error) error {
	switch {
	case p.whole != nil:
		return p.whole
	case p.refused == nil:
		return err
	case err == nil:
		return p.refused
	}
	var be *store.BatchError
	if errors.As(err, &be) {
		for key, kerr := range be.Errs {
			if _, refused := p.refused.Errs[key]; !refused {
				p.refused = p.refused.Add(key, kerr)
			}
		}
		return p.refused
	}
	for _, key := range p.ask {
		if _, refused := p.refused.Errs[key]; !refused {
			p.refused = p.refused.Add(key, err)
		}
	}
	return p.refused
}

// GetMany implements store.BatchGetter, by store.GetMany.
func (s *Store) GetMany(ctx context.Context, keys []string) (map[string]store.Entry, error) {
	p := s.batch(ctx, OpGetMany, keys)
	found := map[string]store.Entry{}
	var err error
	if p.whole == nil || len(p.ask) > 0 {
		found, err = store.GetMany(ctx, s.inner, p.ask)
	}
	if p.whole != nil {
		return map[string]store.Entry{}, p.whole
	}
	if p.refused != nil {
		for key, kerr := range p.refused.Errs {
			delete(found, key)
			if kerr == store.ErrNotFound { //nolint:errorlint // an injected miss is no error of a batch
				delete(p.refused.Errs, key)
			}
		}
		if len(p.refused.Errs) == 0 {
			p.refused = nil
		}
	}
	return found, p.result(err)
}

// SetMany implements store.BatchSetter, by store.SetMany.
func (s *Store) SetMany(ctx context.Context, entries map[string]store.Entry) error {
	p := s.batch(ctx, OpSetMany, slices.Sorted(maps.Keys(entries)))
	if len(p.ask) != len(entries) {
		some := make(map[string]store.Entry, len(p.ask))
		for _, key := range p.ask {
			some[key] = entries[key]
		}
		entries = some
	}
	return p.result(s.unlessNothing(p, func() error { return store.SetMany(ctx, s.inner, entries) }))
}

// DeleteMany implements store.BatchDeleter, by store.DeleteMany.
func (s *Store) DeleteMany(ctx context.Context, keys []string) error {
	p := s.batch(ctx, OpDeleteMany, keys)
	return p.result(s.unlessNothing(p, func() error { return store.DeleteMany(ctx, s.inner, p.ask) }))
}

// unlessNothing calls f unless the faults left nothing to ask.
func (s *Store) unlessNothing(p plan, f func() error) error {
	if len(p.ask) == 0 && (p.whole != nil || p.refused != nil) {
		return nil
	}
	return f()
}
