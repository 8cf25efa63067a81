package gocachestore

import (
	"context"
	"errors"
	"slices"

	lib_store "github.com/eko/gocache/lib/v4/store"

	"github.com/stratacache/strata/store"
)

// tagInvalidator is a store that can invalidate tags itself: a chain does, in
// constant time.
type tagInvalidator interface {
	InvalidateTags(ctx context.Context, tags ...string) error
}

// Invalidate removes the entries that carry one of the tags. A chain does it by
// its own means; any other store is searched through, which takes time in
// proportion to all that it holds, and needs a store that can list its keys and
// keeps tags. Entries set meanwhile may stay.
func (w *wrapper) Invalidate(ctx context.Context, options ...lib_store.InvalidateOption) error {
	tags := lib_store.ApplyInvalidateOptions(options...).Tags
	if len(tags) == 0 {
		return nil
	}
	if s, ok := w.s.(tagInvalidator); ok {
		return s.InvalidateTags(ctx, tags...)
	}
	const batch = 256
	var (
		errs []error
		keys = make([]string, 0, batch)
	)
	for key, err := range store.Scan(ctx, w.s, "") {
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		if keys = append(keys, key); len(keys) == batch {
			errs = append(errs, w.removeTagged(ctx, keys, tags))
			keys = keys[:0]
		}
	}
	return errors.Join(append(errs, w.removeTagged(ctx, keys, tags))...)
}

// removeTagged removes those of keys whose entries carry one of tags. An entry
// that cannot be read may carry one: its error is returned.
func (w *wrapper) removeTagged(ctx context.Context, keys, tags []string) error {
	entries, err := store.GetMany(ctx, w.s, keys)
	var doomed []string
	for key, e := range entries {
		if slices.ContainsFunc(e.Tags, func(tag string) bool { return slices.Contains(tags, tag) }) {
			doomed = append(doomed, key)
		}
	}
	return errors.Join(err, store.DeleteMany(ctx, w.s, doomed))
}
