package gocachestore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	lib_store "github.com/eko/gocache/lib/v4/store"

	"github.com/stratacache/strata/internal/frame"
	"github.com/stratacache/strata/store"
)

// TierOptions configures TierWith. The zero value, like nil, is the default.
type TierOptions struct {
	// Name is the tier's name in errors; empty means "gocache".
	Name string
	// Prefix begins every key in the gocache store.
	Prefix string
	// Strings stores frames as string in place of []byte, for a gocache store
	// whose values have that type (ristretto's with V = string).
	Strings bool
	// NativeTags hands tags to the gocache store as well, so that programs that
	// use it directly can invalidate by them. Its Redis store takes two more
	// round trips per tag for that.
	NativeTags bool
	// AllowClear lets Clear call the gocache store's, which in its Redis store
	// is FLUSHALL: every database of the server.
	AllowClear bool
}

// tier is a gocache store as a strata store.
type tier struct {
	g      lib_store.StoreInterface
	opts   TierOptions
	closed atomic.Bool
	strays strays
}

var (
	_ store.Store   = (*tier)(nil)
	_ store.Clearer = (*tier)(nil)
)

// Tier returns g as a store. g stays the caller's to close. The store is safe
// for concurrent use if g is.
func Tier(g lib_store.StoreInterface) store.Store { return TierWith(g, nil) }

// TierWith is Tier with options, which may be nil.
func TierWith(g lib_store.StoreInterface, opts *TierOptions) store.Store {
	t := &tier{g: g}
	if opts != nil {
		t.opts = *opts
	}
	if t.opts.Name == "" {
		t.opts.Name = "gocache"
	}
	return t
}

// Get returns the entry of key. A value that is no frame was set by another
// program: its deadline is the time to live that the gocache store tells.
func (t *tier) Get(ctx context.Context, key string) (store.Entry, error) {
	const op = "get"
	if err := t.check(ctx, op, key); err != nil {
		return store.Entry{}, err
	}
	value, err := call(ctx, func() (any, error) { return t.g.Get(ctx, t.opts.Prefix+key) })
	if err != nil {
		return store.Entry{}, t.fail(op, key, err)
	}
	b, err := bytesOf(value)
	if err != nil {
		return store.Entry{}, t.fail(op, key, err)
	}
	if !frame.Is(b) {
		return t.foreign(ctx, key)
	}
	e, err := frame.Decode(key, b)
	if err != nil {
		return store.Entry{}, t.fail(op, key, err)
	}
	if e.Expired(time.Now()) {
		return store.Entry{}, store.ErrNotFound
	}
	return e, nil
}

// foreign reads a value that has no frame, with its time to live.
func (t *tier) foreign(ctx context.Context, key string) (store.Entry, error) {
	type answer struct {
		value any
		ttl   time.Duration
	}
	asked := time.Now()
	a, err := call(ctx, func() (a answer, err error) {
		a.value, a.ttl, err = t.g.GetWithTTL(ctx, t.opts.Prefix+key)
		return a, err
	})
	var b []byte
	if err == nil {
		b, err = bytesOf(a.value)
	}
	if err != nil {
		return store.Entry{}, t.fail("get", key, err)
	}
	if frame.Is(b) { // set by a strata program meanwhile
		return t.Get(ctx, key)
	}
	e := store.Entry{Value: b}
	switch {
	case a.ttl > 0:
		e.Expires = asked.Add(a.ttl)
	case a.ttl == 0 && t.roundsTTL():
		// Less than half a second is left, but not how much: it is over.
		return store.Entry{}, store.ErrNotFound
	case a.ttl == 0, a.ttl == persistentTTL:
	default: // -2: the key went away in between
		return store.Entry{}, store.ErrNotFound
	}
	return e, nil
}

// roundsTTL reports whether g tells times to live in seconds, rounded, so that 0
// is not "never". gocache's Redis stores do.
func (t *tier) roundsTTL() bool {
	kind := t.g.GetType()
	return strings.HasPrefix(kind, "redis") || kind == "rueidis"
}

// bytesOf returns the bytes of what a gocache store returned.
func bytesOf(value any) ([]byte, error) {
	switch v := value.(type) {
	case []byte:
		return v, nil
	case string:
		return []byte(v), nil
	}
	return nil, fmt.Errorf("%w %T in the gocache store: string and []byte can be used", ErrValueType, value)
}

// Set stores e, framed. An entry that has expired removes the key.
func (t *tier) Set(ctx context.Context, key string, e store.Entry) error {
	const op = "set"
	if err := t.check(ctx, op, key); err != nil {
		return err
	}
	left, expires := e.TTL(time.Now())
	if expires && left <= 0 {
		return t.remove(ctx, op, key)
	}
	b, err := frame.Append(make([]byte, 0, frame.Size(&e)), key, &e)
	if err != nil {
		return t.fail(op, key, err)
	}
	var value any = b
	if t.opts.Strings {
		value = string(b)
	}
	options := []lib_store.Option{
		lib_store.WithExpiration(wholeMillis(left)), // 0 overrides a default of the store
		lib_store.WithCost(int64(len(b) + len(key))),
		lib_store.WithSynchronousSet(),
	}
	if t.opts.NativeTags && len(e.Tags) > 0 {
		options = append(options, lib_store.WithTags(e.Tags))
	}
	err = t.strays.write(ctx, key, func() error { return t.g.Set(ctx, t.opts.Prefix+key, value, options...) })
	if err != nil {
		return t.fail(op, key, err)
	}
	return nil
}

// wholeMillis rounds up to what any store can hold; the frame has the deadline.
func wholeMillis(left time.Duration) time.Duration {
	const longest = 290 * 365 * 24 * time.Hour
	if left <= 0 {
		return 0
	}
	return min(left, longest).Truncate(time.Millisecond) + time.Millisecond
}

// Delete removes key.
func (t *tier) Delete(ctx context.Context, key string) error {
	const op = "delete"
	if err := t.check(ctx, op, key); err != nil {
		return err
	}
	return t.remove(ctx, op, key)
}

func (t *tier) remove(ctx context.Context, op, key string) error {
	err := t.strays.write(ctx, key, func() error { return t.g.Delete(ctx, t.opts.Prefix+key) })
	if err != nil && !isNotFound(err) {
		return t.fail(op, key, err)
	}
	return nil
}

// Clear calls the gocache store's Clear where TierOptions.AllowClear is set;
// otherwise it is errors.ErrUnsupported.
func (t *tier) Clear(ctx context.Context) error {
	const op = "clear"
	if err := t.checkOpen(ctx, op, ""); err != nil {
		return err
	}
	if !t.opts.AllowClear {
		return t.fail(op, "", fmt.Errorf("%w: a gocache store may clear more than this tier's keys; "+
			"set TierOptions.AllowClear if that is meant", errors.ErrUnsupported))
	}
	if err := t.strays.all(ctx); err != nil {
		return t.fail(op, "", err)
	}
	if err := t.strays.write(ctx, everyKey, func() error { return t.g.Clear(ctx) }); err != nil {
		return t.fail(op, "", err)
	}
	return nil
}

// Close makes later calls store.ErrClosed. The gocache store goes on.
func (t *tier) Close() error {
	t.closed.Store(true)
	return nil
}

func (t *tier) check(ctx context.Context, op, key string) error {
	if err := t.checkOpen(ctx, op, key); err != nil {
		return err
	}
	if key == "" {
		return t.fail(op, key, store.ErrInvalidKey)
	}
	return nil
}

func (t *tier) checkOpen(ctx context.Context, op, key string) error {
	if t.closed.Load() {
		return t.fail(op, key, store.ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return t.fail(op, key, err)
	}
	return nil
}

// fail shapes the error of an operation; a miss stays bare.
func (t *tier) fail(op, key string, err error) error {
	if isNotFound(err) {
		return store.ErrNotFound
	}
	return &store.Error{Op: op, Tier: t.opts.Name, Key: key, Err: err}
}

// isNotFound knows gocache's error as a pointer and as a value.
func isNotFound(err error) bool {
	var p *lib_store.NotFound
	var v lib_store.NotFound
	return errors.As(err, &p) || errors.As(err, &v)
}
