package chain_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/packstore"
	"github.com/stratacache/strata/store/storetest"
)

// packedChain is a chain whose memory packs its values.
func packedChain(t testing.TB, rules ...policy.Rule) *chain.Chain {
	t.Helper()
	memory, err := packstore.New(&packstore.Options{Unpack: chain.Unpack})
	if err != nil {
		t.Fatal(err)
	}
	set, err := policy.New(rules...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := chain.New([]chain.Tier{{Name: "memory", Store: memory}}, set, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

func TestPackedMemoryConformance(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store { return packedChain(t).Store() }, &storetest.Options{NoVersion: true})
}

func TestPeek(t *testing.T) {
	ctx := context.Background()
	c := packedChain(t)
	s := c.Store()
	p := s.(chain.Peeker)
	if _, _, ok := p.Peek("k", nil); ok {
		t.Error("Peek of an absent key has a value")
	}
	if err := s.Set(ctx, "k", store.Entry{Value: []byte("v"), Expires: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	v, buf, ok := p.Peek("k", []byte("head"))
	if !ok || string(v) != "v" || string(buf) != "headv" {
		t.Errorf("Peek = %q, %q, %v", v, buf, ok)
	}
	if n := testing.AllocsPerRun(100, func() { _, buf, _ = p.Peek("k", buf[:0]) }); n != 0 {
		t.Errorf("Peek allocates %v times", n)
	}
	if err := c.Clear(ctx); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := p.Peek("k", nil); ok {
		t.Error("Peek after Clear has a value")
	}
	if err := s.Set(ctx, "t", store.Entry{Value: []byte("v"), Tags: []string{"g"}}); err != nil {
		t.Fatal(err)
	}
	if v, _, ok := p.Peek("t", nil); !ok || string(v) != "v" {
		t.Errorf("Peek of a tagged entry = %q, %v", v, ok)
	}
	if err := c.InvalidateTags(ctx, "g"); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := p.Peek("t", nil); ok {
		t.Error("Peek after an invalidation has a value")
	}
}

// TestSetCopy: what was given may be used again, whichever way the write took.
func TestSetCopy(t *testing.T) {
	ctx := context.Background()
	s := packedChain(t, policy.Rule{Keys: policy.MustPattern("r:{x}"), TTL: time.Hour}).Store()
	p := s.(chain.Peeker)
	for _, e := range []store.Entry{
		{}, {Expires: time.Now().Add(time.Minute)}, {Expires: chain.NoExpiry}, {Tags: []string{"t"}}, {Codec: "json"},
	} {
		for _, key := range []string{"k", "r:1"} {
			for _, size := range []int{0, 10, 100_000} {
				k, value := []byte(key), bytes.Repeat([]byte("v"), size)
				e.Value = value
				if err := p.SetCopy(ctx, unsafe.String(&k[0], len(k)), e); err != nil {
					t.Fatal(err)
				}
				k[0] = 'x'
				clear(value)
				got, err := s.Get(ctx, key)
				if err != nil || string(got.Value) != strings.Repeat("v", size) {
					t.Fatalf("%s of %d bytes: %d bytes, %v", key, size, len(got.Value), err)
				}
				want := e.Expires
				if want.Equal(chain.NoExpiry) || want.IsZero() && key == "k" {
					want = time.Time{}
				} else if want.IsZero() {
					want = time.Now().Add(time.Hour)
				}
				if d := got.Expires.Sub(want).Abs(); d > time.Minute/2 || want.IsZero() != got.Expires.IsZero() {
					t.Errorf("%s set with %v expires at %v", key, e.Expires, got.Expires)
				}
			}
		}
	}
	value := []byte("value")
	if n := testing.AllocsPerRun(200, func() { _ = p.SetCopy(ctx, "k", store.Entry{Value: value}) }); n != 0 {
		t.Errorf("SetCopy allocates %v times", n)
	}
	if err := p.SetCopy(ctx, "k", store.Entry{Value: value, Expires: time.Unix(1, 0)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, "k"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("set with a deadline that has passed: %v", err)
	}
}

func TestNoExpiry(t *testing.T) {
	ctx := context.Background()
	s := packedChain(t, policy.Rule{Keys: policy.MustPattern("a:{x}"), TTL: time.Minute}).Store()
	for _, c := range []struct {
		expires time.Time
		never   bool
	}{{time.Time{}, false}, {chain.NoExpiry, true}} {
		if err := s.Set(ctx, "a:1", store.Entry{Value: []byte("v"), Expires: c.expires}); err != nil {
			t.Fatal(err)
		}
		e, err := s.Get(ctx, "a:1")
		if err != nil || e.Expires.IsZero() != c.never {
			t.Errorf("set with %v: expires %v, %v", c.expires, e.Expires, err)
		}
	}
	if _, err := s.Get(ctx, "b"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}
