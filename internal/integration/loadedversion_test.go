package integration

import (
	"context"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/frame"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store/memstore"
	"github.com/stratacache/strata/store/redisstore"
)

// What was loaded, with a lease or without, and what a refresh only renewed, is in Redis
// under a version that gives way to every write and delete of its millisecond.
func TestLoadedVersions(t *testing.T) {
	for _, lease := range []string{"", ", lease: 10s"} {
		srv, ctx := redistest.Start(t), context.Background()
		rules := policy.MustParse("rules: [{keys: 'k:{id}', ttl: 1h, stale_if_error: 1h" + lease + "}]")
		remote, err := redisstore.Connect(&redisstore.Config{Addrs: []string{srv.Addr}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := chain.New([]chain.Tier{
			chain.Opened(memstore.New(nil)).As("memory"), {Name: "redis", Store: remote, Shared: true},
		}, rules, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close(ctx) })
		cache := chain.NewCache[string](c, nil)
		load := func(_ context.Context, r chain.Request[string]) (chain.Loaded[string], error) {
			if r.HasStale {
				return chain.Loaded[string]{NotModified: true}, nil
			}
			return chain.Loaded[string]{Value: "v", WriteOptions: chain.WriteOptions{TTL: 100 * time.Millisecond}}, nil
		}
		client, last := srv.Client(t), uint64(0)
		for _, what := range []string{"loaded", "renewed"} {
			if v, err := cache.Fetch(ctx, "k:1", load); v != "v" || err != nil {
				t.Fatal(v, err)
			}
			if err := c.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			raw, err := client.Get(ctx, "k:1").Bytes()
			version, ok := frame.Version(raw)
			if err != nil || !ok || version <= last || version&0xffff != 0 {
				t.Errorf("%s%s: Redis holds version %x, %v; want one after %x that ends with zeros", what, lease, version, err, last)
			}
			last = version
			time.Sleep(150 * time.Millisecond)
		}
	}
}
