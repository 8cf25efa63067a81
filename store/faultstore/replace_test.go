package faultstore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stratacache/strata/internal/mapstore"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

// touchable is a store that can renew deadlines and replace in one step.
type touchable struct{ *mapstore.Store }

func (s touchable) Touch(ctx context.Context, key string, old, e store.Entry) (bool, error) {
	held, err := s.Get(ctx, key)
	if err != nil || held.Version != old.Version {
		return false, err
	}
	held.Version, held.Expires = e.Version, e.Expires
	return true, s.Set(ctx, key, held)
}

func (s touchable) Replace(ctx context.Context, key string, old, e store.Entry) (bool, error) {
	held, err := s.Get(ctx, key)
	if err == nil && held.Version != old.Version {
		return false, nil
	}
	return true, s.Set(ctx, key, e)
}

// Replace and Touch reach the inner store, and fail, before or after the deed, as a
// Fill does.
func TestReplaceAndTouch(t *testing.T) {
	ctx := t.Context()
	inner := touchable{mapstore.New()}
	f := faultstore.New(inner)
	old, e := store.Entry{Value: []byte("1"), Version: 1}, store.Entry{Value: []byte("2"), Version: 2}
	calls := map[string]func() (bool, error){
		"Replace": func() (bool, error) { return f.Replace(ctx, "k", old, e) },
		"Touch":   func() (bool, error) { return f.Touch(ctx, "k", old, store.Entry{Version: 2}) },
	}
	for name, call := range calls {
		version := func() uint64 { held, _ := inner.Peek("k"); return held.Version }
		f.Reset()
		inner.Plant("k", old)
		f.Inject(faultstore.Fault{Op: faultstore.OpFill, Err: errBoom})
		if ok, err := call(); ok || !errors.Is(err, errBoom) || version() != 1 {
			t.Errorf("%s that fails: %v, %v, version %d", name, ok, err, version())
		}
		f.Reset()
		f.Inject(faultstore.Fault{Op: faultstore.OpFill, Err: errBoom, AfterOp: true})
		if ok, err := call(); ok || !errors.Is(err, errBoom) || version() != 2 {
			t.Errorf("%s whose answer is lost: %v, %v, version %d", name, ok, err, version())
		}
		f.Reset()
		if ok, err := call(); ok || err != nil {
			t.Errorf("%s of what is not there any more: %v, %v", name, ok, err)
		}
		inner.Plant("k", old)
		if ok, err := call(); !ok || err != nil || version() != 2 {
			t.Errorf("%s: %v, %v, version %d", name, ok, err, version())
		}
	}
	plain := faultstore.New(mapstore.New())
	if ok, err := plain.Touch(ctx, "k", old, e); ok || err != nil {
		t.Errorf("Touch of a store that cannot: %v, %v", ok, err)
	}
}
