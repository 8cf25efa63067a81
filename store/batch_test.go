package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/internal/mapstore"
	"github.com/stratacache/strata/store"
)

var errBoom = errors.New("boom")

// plain is a store with no more than the four methods, each of which takes a second.
// A key "bad" fails.
type plain struct {
	inner     *mapstore.Store
	mu        sync.Mutex
	now, most int // calls at a time
}

func (p *plain) call(key string) error {
	p.mu.Lock()
	p.now++
	p.most = max(p.most, p.now)
	p.mu.Unlock()
	time.Sleep(time.Second)
	p.mu.Lock()
	p.now--
	p.mu.Unlock()
	if key == "bad" {
		return errBoom
	}
	return nil
}

func (p *plain) Get(ctx context.Context, key string) (store.Entry, error) {
	if err := p.call(key); err != nil {
		return store.Entry{}, err
	}
	return p.inner.Get(ctx, key)
}

func (p *plain) Set(ctx context.Context, key string, e store.Entry) error {
	if err := p.call(key); err != nil {
		return err
	}
	return p.inner.Set(ctx, key, e)
}

func (p *plain) Delete(ctx context.Context, key string) error {
	if err := p.call(key); err != nil {
		return err
	}
	return p.inner.Delete(ctx, key)
}

func (p *plain) Close() error { return p.inner.Close() }

// A store without bulk calls is asked key by key: several at a time, but not all; a
// key that is absent is no error, one that fails is its own, and the rest stands.
func TestBatchesOfAPlainStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &plain{inner: mapstore.New()}
		ctx, entries, keys := t.Context(), map[string]store.Entry{}, []string{"absent", "bad"}
		for i := range 200 {
			key := fmt.Sprint("k", i)
			keys = append(keys, key)
			entries[key] = store.Entry{Value: []byte(key)}
		}
		entries["bad"] = store.Entry{}
		check := func(what string, err error) {
			t.Helper()
			for _, key := range keys {
				if kerr := store.KeyError(err, key); (kerr != nil) != (key == "bad") || kerr != nil && !errors.Is(kerr, errBoom) {
					t.Errorf("%s: %s: %v", what, key, kerr)
				}
			}
		}
		start := time.Now()
		check("SetMany", store.SetMany(ctx, p, entries))
		if n := p.inner.Len(); n != 200 {
			t.Errorf("%d entries were set; want 200", n)
		}
		found, err := store.GetMany(ctx, p, keys)
		check("GetMany", err)
		if len(found) != 200 || string(found["k7"].Value) != "k7" {
			t.Errorf("%d found, k7 is %q", len(found), found["k7"].Value)
		}
		check("DeleteMany", store.DeleteMany(ctx, p, keys))
		if n := p.inner.Len(); n != 0 {
			t.Errorf("%d entries are left", n)
		}
		if most, took := p.most, time.Since(start); most < 2 || most > 32 || took > 300*time.Second {
			t.Errorf("%d calls at a time at most, %v for all", most, took)
		}
		ctx, cancel := context.WithTimeout(ctx, 1500*time.Millisecond)
		defer cancel()
		start = time.Now()
		if err := store.SetMany(ctx, p, entries); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 3*time.Second {
			t.Errorf("%v after %v; want the end of the context", err, time.Since(start))
		}
	})
}
