package chain_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/marshal"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
)

func wrapRing(t *testing.T) map[string]*marshal.Keyring {
	t.Helper()
	r, err := marshal.NewKeyring("a", map[string][]byte{"a": bytes.Repeat([]byte{7}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*marshal.Keyring{"main": r}
}

// wrapped returns a chain over s under one rule for "doc:{id}".
func wrapped(t *testing.T, s store.Store, r policy.Rule) *chain.Chain {
	t.Helper()
	r.Keys, r.TTL = policy.MustPattern("doc:{id}"), time.Hour
	set, err := policy.New(r)
	if err != nil {
		t.Fatal(err)
	}
	c, err := chain.New([]chain.Tier{{Name: "far", Store: unclosed{s}}}, set, &chain.Options{Keyrings: wrapRing(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// unclosed survives the chain that it is given to.
type unclosed struct{ store.Store }

func (unclosed) Close() error { return nil }

type doc struct{ Text string }

func TestRuleCompresses(t *testing.T) {
	ctx, s := context.Background(), newMap()
	v := doc{strings.Repeat("compressible ", 1000)}
	before := chain.NewCache[doc](wrapped(t, s, policy.Rule{}), nil)
	if err := before.Set(ctx, "doc:old", v); err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"zstd", "s2"} {
		c := chain.NewCache[doc](wrapped(t, s, policy.Rule{Compress: how}), nil)
		if got, err := c.Get(ctx, "doc:old"); err != nil || got != v {
			t.Errorf("%s: what was written before is lost: %v", how, err)
		}
		if err := c.Set(ctx, "doc:1", v); err != nil {
			t.Fatal(err)
		}
		e, err := s.Get(ctx, "doc:1")
		if err != nil || len(e.Value) > len(v.Text)/10 || !strings.HasSuffix(e.Codec, "+"+how) {
			t.Errorf("%s: %d bytes, codec %q, %v", how, len(e.Value), e.Codec, err)
		}
		again := chain.NewCache[doc](wrapped(t, s, policy.Rule{Compress: how}), nil)
		if got, err := again.Get(ctx, "doc:1"); err != nil || got != v {
			t.Errorf("%s: %v", how, err)
		}
	}
}

func TestRuleEncrypts(t *testing.T) {
	ctx, s := context.Background(), newMap()
	ch := wrapped(t, s, policy.Rule{Encrypt: "main", Compress: "zstd"})
	c := chain.NewCache[doc](ch, nil)
	if err := c.Set(ctx, "doc:1", doc{"very secret"}); err != nil {
		t.Fatal(err)
	}
	e, err := s.Get(ctx, "doc:1")
	if err != nil || bytes.Contains(e.Value, []byte("very secret")) {
		t.Fatalf("in the tier: %q, %v", e.Value, err)
	}
	fresh := chain.NewCache[doc](wrapped(t, s, policy.Rule{Encrypt: "main", Compress: "zstd"}), nil)
	if got, err := fresh.Get(ctx, "doc:1"); err != nil || got.Text != "very secret" {
		t.Errorf("Get = %v, %v", got, err)
	}

	// Whoever can write to the tier cannot choose what is served: neither by
	// moving a value to another key nor by leaving one in clear.
	if err := s.Set(ctx, "doc:2", e); err != nil {
		t.Fatal(err)
	}
	elsewhere := newMap()
	if err := chain.NewCache[doc](wrapped(t, elsewhere, policy.Rule{}), nil).Set(ctx, "doc:3", doc{"forged"}); err != nil {
		t.Fatal(err)
	}
	clear, err := elsewhere.Get(ctx, "doc:3")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Set(ctx, "doc:3", clear); err != nil {
		t.Fatal(err)
	}
	clear.Codec = ""
	if err := s.Set(ctx, "doc:4", clear); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"doc:2", "doc:3", "doc:4"} {
		if got, err := fresh.Get(ctx, key); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Get(%s) = %v, %v", key, got, err)
		}
	}

	// A view stores what it is given, and so takes no plain bytes here.
	if err := ch.Store().Set(ctx, "doc:5", store.Entry{Value: []byte("plain")}); err == nil || !strings.Contains(err.Error(), "encrypts its values") {
		t.Errorf("Set of plain bytes through a view: %v", err)
	}
	if err := store.SetMany(ctx, ch.Store(), map[string]store.Entry{"doc:5": {Value: []byte("plain")}, "other": {Value: []byte("x")}}); store.KeyError(err, "doc:5") == nil || store.KeyError(err, "other") != nil {
		t.Errorf("SetMany of plain bytes through a view: %v", err)
	}
	if err := ch.Store().Set(ctx, "doc:6", e); err != nil {
		t.Errorf("Set of encrypted bytes through a view: %v", err)
	}
}

func TestUnknownKeyring(t *testing.T) {
	set, err := policy.New(policy.Rule{Keys: policy.MustPattern("a"), TTL: time.Hour, Encrypt: "none-such"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chain.New([]chain.Tier{{Name: "far", Store: newMap()}}, set, nil); err == nil || !strings.Contains(err.Error(), `key ring "none-such"`) {
		t.Errorf("New = %v", err)
	}
}
