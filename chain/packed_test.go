package chain_test

import (
	"context"
	"errors"
	"testing"
	"time"

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
