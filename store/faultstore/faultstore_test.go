package faultstore_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/internal/mapstore"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
	"github.com/stratacache/strata/store/storetest"
)

var errBoom = errors.New("boom")

func entry(v string) store.Entry { return store.Entry{Value: []byte(v)} }

// filled returns a faulty store that holds a=1, b=2, c=3.
func filled(t *testing.T) *faultstore.Store {
	t.Helper()
	f := faultstore.New(mapstore.New())
	for key, v := range map[string]string{"a": "1", "b": "2", "c": "3"} {
		if err := f.Set(t.Context(), key, entry(v)); err != nil {
			t.Fatal(err)
		}
	}
	f.Reset()
	return f
}

func value(t *testing.T, s store.Store, key string) string {
	t.Helper()
	e, err := s.Get(t.Context(), key)
	if errors.Is(err, store.ErrNotFound) {
		return "-"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(e.Value)
}

func only(keys ...string) func(string) bool {
	return func(key string) bool { return slices.Contains(keys, key) }
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(testing.TB) store.Store { return faultstore.New(mapstore.New()) }, &storetest.Options{Rounds: 300})
}

// each calls every operation once and returns the errors by name.
func each(ctx context.Context, f *faultstore.Store) map[faultstore.Op]error {
	errs := map[faultstore.Op]error{}
	_, errs[faultstore.OpGet] = f.Get(ctx, "a")
	errs[faultstore.OpSet] = f.Set(ctx, "a", entry("9"))
	errs[faultstore.OpDelete] = f.Delete(ctx, "b")
	_, errs[faultstore.OpFill] = f.Fill(ctx, "d", entry("4"))
	_, errs[faultstore.OpGetMany] = f.GetMany(ctx, []string{"a", "c"})
	errs[faultstore.OpSetMany] = f.SetMany(ctx, map[string]store.Entry{"e": entry("5")})
	errs[faultstore.OpDeleteMany] = f.DeleteMany(ctx, []string{"e"})
	for _, err := range f.Scan(ctx, "a") {
		errs[faultstore.OpScan] = err
	}
	errs[faultstore.OpClear] = f.Clear(ctx)
	errs[faultstore.OpSync] = f.Sync(ctx)
	errs[faultstore.OpClose] = f.Close()
	return errs
}

func TestErrHitsItsOperationsOnly(t *testing.T) {
	for op := faultstore.OpGet; op <= faultstore.OpSync; op <<= 1 {
		t.Run(op.String(), func(t *testing.T) {
			f := filled(t)
			f.Inject(faultstore.Fault{Op: op, Err: errBoom})
			for other, err := range each(t.Context(), f) {
				var se *store.Error
				if other != op && err != nil {
					t.Errorf("%v: %v", other, err)
				}
				if other == op && (!errors.Is(err, errBoom) || !errors.As(err, &se) || se.Op != op.String()) {
					t.Errorf("%v: %v; want the injected error as a *store.Error", other, err)
				}
				if n := f.Calls(other); n != 1 {
					t.Errorf("Calls(%v) = %d, want 1", other, n)
				}
			}
			if n := f.Calls(faultstore.OpAll); n != 11 {
				t.Errorf("Calls(OpAll) = %d, want 11", n)
			}
		})
	}
}

func TestUnions(t *testing.T) {
	if faultstore.OpReads|faultstore.OpWrites|faultstore.OpClose|faultstore.OpSync != faultstore.OpAll || faultstore.OpReads&faultstore.OpWrites != 0 {
		t.Error("the unions overlap or leave something out")
	}
	if s := faultstore.OpReads.String(); s != "get|getmany|scan" {
		t.Errorf("OpReads is %q", s)
	}
}

func TestFailedOperationIsNotDone(t *testing.T) {
	f := filled(t)
	defer f.Inject(faultstore.Fault{Op: faultstore.OpWrites, Err: errBoom})()
	_ = f.Set(t.Context(), "a", entry("9"))
	_ = f.Delete(t.Context(), "b")
	_ = f.DeleteMany(t.Context(), []string{"c"})
	_ = f.Clear(t.Context())
	if stored, err := f.Fill(t.Context(), "a", entry("9")); stored || err == nil {
		t.Errorf("Fill = %v, %v", stored, err)
	}
	for key, want := range map[string]string{"a": "1", "b": "2", "c": "3"} {
		if got := value(t, f, key); got != want {
			t.Errorf("%s = %s, want %s", key, got, want)
		}
	}
}

func TestAfterOpLosesTheAcknowledgement(t *testing.T) {
	f := filled(t)
	remove := f.Inject(faultstore.Fault{Op: faultstore.OpAll, Err: errBoom, AfterOp: true})
	ctx := t.Context()
	if err := f.Set(ctx, "a", entry("9")); !errors.Is(err, errBoom) {
		t.Errorf("Set: %v", err)
	}
	if err := f.DeleteMany(ctx, []string{"b"}); !errors.Is(err, errBoom) {
		t.Errorf("DeleteMany: %v", err)
	}
	if err := f.SetMany(ctx, map[string]store.Entry{"d": entry("4")}); !errors.Is(err, errBoom) {
		t.Errorf("SetMany: %v", err)
	}
	if m, err := f.GetMany(ctx, []string{"a"}); !errors.Is(err, errBoom) || len(m) != 0 {
		t.Errorf("GetMany: %v, %v", m, err)
	}
	if e, err := f.Get(ctx, "a"); !errors.Is(err, errBoom) || e.Value != nil {
		t.Errorf("Get: %v, %v", e, err)
	}
	keys, last := 0, error(nil)
	for key, err := range f.Scan(ctx, "") {
		if last = err; key != "" {
			keys++
		}
	}
	if keys != 3 || !errors.Is(last, errBoom) {
		t.Errorf("Scan: %d keys, then %v", keys, last)
	}
	remove()
	for key, want := range map[string]string{"a": "9", "b": "-", "d": "4"} {
		if got := value(t, f, key); got != want {
			t.Errorf("%s = %s, want %s", key, got, want)
		}
	}
}

func TestSkipAndTimes(t *testing.T) {
	f := filled(t)
	remove := f.Inject(faultstore.Fault{Op: faultstore.OpGet, Key: only("a"), Skip: 2, Times: 3, Err: errBoom})
	var got strings.Builder
	for range 8 {
		_, _ = f.Get(t.Context(), "b") // not selected, not counted
		if _, err := f.Get(t.Context(), "a"); err != nil {
			got.WriteByte('x')
		} else {
			got.WriteByte('.')
		}
	}
	if got.String() != "..xxx..." {
		t.Errorf("calls went %s, want ..xxx...", got.String())
	}
	remove()
	remove()
}

func TestFirstErrorWinsAndRemoveTakesItsOwn(t *testing.T) {
	f := filled(t)
	other := errors.New("other")
	first := f.Inject(faultstore.Fault{Op: faultstore.OpGet, Err: errBoom})
	second := f.Inject(faultstore.Fault{Op: faultstore.OpGet, Err: other}, faultstore.Fault{Op: faultstore.OpSet, Err: other})
	if _, err := f.Get(t.Context(), "a"); !errors.Is(err, errBoom) {
		t.Errorf("Get: %v, want the first error", err)
	}
	first()
	if _, err := f.Get(t.Context(), "a"); !errors.Is(err, other) {
		t.Errorf("Get: %v, want the second error", err)
	}
	second()
	if err := f.Set(t.Context(), "a", entry("1")); err != nil {
		t.Errorf("Set after removal: %v", err)
	}
}

func TestInjectedMissIsBare(t *testing.T) {
	f := filled(t)
	f.Inject(faultstore.Fault{Op: faultstore.OpReads, Key: only("a"), Err: store.ErrNotFound})
	if _, err := f.Get(t.Context(), "a"); err != store.ErrNotFound { //nolint:errorlint // the bare sentinel
		t.Errorf("Get: %v, want store.ErrNotFound itself", err)
	}
	m, err := f.GetMany(t.Context(), []string{"a", "b"})
	if err != nil || len(m) != 1 || string(m["b"].Value) != "2" {
		t.Errorf("GetMany: %v, %v; want b alone and nil", m, err)
	}
	own := &store.Error{Op: "get", Tier: "redis", Key: "b", Err: errBoom}
	f.Inject(faultstore.Fault{Op: faultstore.OpGet, Err: own})
	if _, err := f.Get(t.Context(), "b"); err != error(own) { //nolint:errorlint // must be the same
		t.Errorf("Get: %v, want the *store.Error as injected", err)
	}
}

func TestPartialBatches(t *testing.T) {
	for _, after := range []bool{false, true} {
		f := filled(t)
		remove := f.Inject(faultstore.Fault{
			Op: faultstore.OpGetMany | faultstore.OpSetMany | faultstore.OpDeleteMany, Key: only("b", ""), Err: errBoom, AfterOp: after,
		})
		m, err := f.GetMany(t.Context(), []string{"a", "b", "c", "absent"})
		wantOnly(t, err, "b")
		if got := slices.Sorted(maps.Keys(m)); !slices.Equal(got, []string{"a", "c"}) {
			t.Errorf("GetMany found %q, want a and c", got)
		}
		wantOnly(t, f.SetMany(t.Context(), map[string]store.Entry{"a": entry("7"), "b": entry("8")}), "b")
		wantOnly(t, f.DeleteMany(t.Context(), []string{"b", "c"}), "b")
		if _, err := f.GetMany(t.Context(), []string{"a", "c"}); err != nil {
			t.Errorf("a batch without the faulty key: %v", err)
		}
		remove()
		want := map[string]string{"a": "7", "b": "2", "c": "-"}
		if after {
			want["b"] = "-"
		}
		for key, w := range want {
			if got := value(t, f, key); got != w {
				t.Errorf("afterOp=%v: %s = %s, want %s", after, key, got, w)
			}
		}
	}
}

// TestPartialBatchKeepsInnerErrors: what the inner store refused stays refused.
func TestPartialBatchKeepsInnerErrors(t *testing.T) {
	f := filled(t)
	f.Inject(faultstore.Fault{Op: faultstore.OpGetMany, Key: only("b"), Err: errBoom})
	_, err := f.GetMany(t.Context(), []string{"a", "b", ""})
	if !errors.Is(store.KeyError(err, ""), store.ErrInvalidKey) || !errors.Is(store.KeyError(err, "b"), errBoom) || store.KeyError(err, "a") != nil {
		t.Errorf("GetMany: %v", err)
	}
}

func wantOnly(t *testing.T, err error, key string) {
	t.Helper()
	var be *store.BatchError
	if !errors.As(err, &be) || len(be.Errs) != 1 || !errors.Is(be.Errs[key], errBoom) {
		t.Errorf("error %v; want a *store.BatchError of %q alone", err, key)
	}
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := filled(t)
		f.Inject(faultstore.Fault{Op: faultstore.OpAll, Delay: time.Second}, faultstore.Fault{Op: faultstore.OpGet, Delay: time.Second})
		start := time.Now()
		if got := value(t, f, "a"); got != "1" || time.Since(start) != 2*time.Second {
			t.Errorf("Get = %s after %v, want 1 after 2s", got, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		start = time.Now()
		_, err := f.Get(ctx, "a")
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 300*time.Millisecond {
			t.Errorf("Get: %v after %v, want the deadline's error after 300ms", err, time.Since(start))
		}
		if err := f.SetMany(ctx, map[string]store.Entry{"a": entry("9")}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("SetMany: %v", err)
		}
	})
}

func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := filled(t)
		f.Inject(faultstore.Fault{Op: faultstore.OpGet | faultstore.OpScan, Times: 3, Hang: true})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		errs := make(chan error, 3)
		for range 2 {
			wg.Go(func() { _, err := f.Get(ctx, "a"); errs <- err })
		}
		synctest.Wait()
		if n := f.Hanging(); n != 2 {
			t.Fatalf("%d calls hang, want 2", n)
		}
		cancel()
		wg.Wait()
		for range 2 {
			if err := <-errs; !errors.Is(err, context.Canceled) {
				t.Errorf("hanging Get: %v, want the context's error", err)
			}
		}
		wg.Go(func() { _, err := f.Get(context.Background(), "a"); errs <- err })
		synctest.Wait()
		f.Release()
		wg.Wait()
		if err := <-errs; err != nil || f.Hanging() != 0 {
			t.Errorf("released Get: %v; %d hang", err, f.Hanging())
		}
	})
}

func TestResetReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := filled(t)
		f.Inject(faultstore.Fault{Op: faultstore.OpAll, Hang: true})
		var wg sync.WaitGroup
		wg.Go(func() { _ = f.Set(context.Background(), "a", entry("9")) })
		synctest.Wait()
		f.Reset()
		wg.Wait()
		if got := value(t, f, "a"); got != "9" {
			t.Errorf("a = %s, want 9", got)
		}
		if n := f.Calls(faultstore.OpSet); n != 0 {
			t.Errorf("Calls(OpSet) after Reset = %d", n)
		}
	})
}

func TestDoRunsBeforeTheOperation(t *testing.T) {
	f := filled(t)
	var seen []string
	f.Inject(faultstore.Fault{Op: faultstore.OpGet | faultstore.OpSetMany, Key: only("a", "c"), Do: func(op faultstore.Op, key string) {
		seen = append(seen, op.String()+" "+key)
		if op == faultstore.OpGet { // the hook may use the store
			_ = f.Delete(context.Background(), key)
		}
	}})
	if got := value(t, f, "a"); got != "-" {
		t.Errorf("a = %s, want it deleted by the hook", got)
	}
	_ = f.SetMany(t.Context(), map[string]store.Entry{"c": entry("1"), "b": entry("1"), "a": entry("1")})
	if want := []string{"get a", "setmany a", "setmany c"}; !slices.Equal(seen, want) {
		t.Errorf("hooks ran for %q, want %q", seen, want)
	}
}

func TestConcurrentInjection(t *testing.T) {
	f := filled(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 300 {
				remove := f.Inject(faultstore.Fault{Op: faultstore.OpAll, Err: errBoom})
				_, _ = f.Get(t.Context(), "a")
				_, _ = f.GetMany(t.Context(), []string{"a", "b"})
				remove()
			}
		})
	}
	wg.Wait()
	if got := value(t, f, "a"); got != "1" {
		t.Errorf("a = %s after all faults were removed", got)
	}
}

// objectMap is a map that holds objects.
type objectMap struct {
	*mapstore.Store
	objects map[string]any
}

func (o *objectMap) GetObject(key string) (any, bool) { v, ok := o.objects[key]; return v, ok }

func (o *objectMap) SetObject(key string, obj any, _ int64, _ time.Time) error {
	o.objects[key] = obj
	return nil
}

func TestObjects(t *testing.T) {
	if _, ok := any(faultstore.New(mapstore.New())).(store.Objects); ok {
		t.Error("a Store claims to hold objects")
	}
	f := faultstore.NewObjects(&objectMap{mapstore.New(), map[string]any{}})
	if err := f.SetObject("k", 1, 8, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if v, ok := f.GetObject("k"); !ok || v != 1 {
		t.Errorf("GetObject = %v, %v", v, ok)
	}
	f.Inject(faultstore.Fault{Op: faultstore.OpGet | faultstore.OpSet, Err: errBoom})
	if v, ok := f.GetObject("k"); ok || v != nil {
		t.Errorf("faulty GetObject = %v, %v; want a miss", v, ok)
	}
	if err := f.SetObject("k", 2, 8, time.Time{}); !errors.Is(err, errBoom) {
		t.Errorf("faulty SetObject: %v", err)
	}
	if f.Calls(faultstore.OpGet) != 2 || f.Calls(faultstore.OpSet) != 2 {
		t.Error("objects are not counted as gets and sets")
	}
}
