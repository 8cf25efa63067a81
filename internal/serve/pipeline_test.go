package serve_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/mapstore"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/packstore"
)

// counting is a far tier that counts its calls.
type counting struct {
	*mapstore.Store
	gets, batches chan struct{}
}

func (c *counting) Get(ctx context.Context, key string) (store.Entry, error) {
	c.gets <- struct{}{}
	return c.Store.Get(ctx, key)
}

func (c *counting) GetMany(ctx context.Context, keys []string) (map[string]store.Entry, error) {
	c.batches <- struct{}{}
	return c.Store.GetMany(ctx, keys)
}

// TestPipelinedGets: GETs that have arrived together and that memory cannot answer
// are one call of the tier behind it, answered in their order, with what is between
// them in its place.
func TestPipelinedGets(t *testing.T) {
	far := &counting{mapstore.New(), make(chan struct{}, 1000), make(chan struct{}, 1000)}
	for i := range 20 {
		if err := far.Set(context.Background(), fmt.Sprint("k", i), store.Entry{Value: fmt.Appendf(nil, "v%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	memory, err := packstore.New(&packstore.Options{Unpack: chain.Unpack})
	if err != nil {
		t.Fatal(err)
	}
	ch, err := chain.New([]chain.Tier{{Name: "memory", Store: memory}, {Name: "far", Store: far}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ch.Close(context.Background()) })
	c := dial(t, serveChain(t, ch, nil))
	var all strings.Builder
	var want []string
	ask := func(reply string, args ...string) {
		all.Write(request(args...))
		want = append(want, reply)
	}
	for i := range 10 {
		ask(fmt.Sprintf(`$"v%d"`, i), "GET", fmt.Sprint("k", i))
	}
	ask("$null", "get", "nothing")
	ask("$null", "GET", "")
	ask("$null", "GET", "__strata:tag:x")
	ask("+OK", "SET", "k11", "new")
	ask(`$"new"`, "GeT", "k11")
	ask(`$"v10"`, "GET", "k10")
	ask("-ERR wrong number of arguments for 'get' command", "GET", "a", "b")
	ask(`$"v12"`, "GET", "k12")
	ask("+PONG", "PING")
	ask(`$"v13"`, "GET", "k13")
	ask(`$"v13"`, "GET", "k13")
	for i := range 100 { // more than go together
		ask(fmt.Sprintf(`$"v%d"`, 14+i%6), "GET", fmt.Sprint("k", 14+i%6))
	}
	c.raw(all.String())
	for i, w := range want {
		if got := c.read().String(); got != w {
			t.Errorf("reply %d: %s, want %s", i, got, w)
		}
	}
	if n := len(far.batches); n == 0 || len(far.gets)+n > 40 {
		t.Errorf("%d gets and %d batches", len(far.gets), n)
	}
	// A run that ends in what is no request is answered before the error is.
	c.raw(string(request("GET", "k0")) + string(request("GET", "nope")) + string(request("GET", "nope2")) + "*1\r\nx\r\n")
	for _, w := range []string{`$"v0"`, "$null", "$null"} {
		if got := c.read().String(); got != w {
			t.Errorf("%s, want %s", got, w)
		}
	}
	if got := c.read().String(); !strings.HasPrefix(got, "-ERR Protocol error: expected '$'") {
		t.Errorf("%s", got)
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(10 * time.Second))
}
