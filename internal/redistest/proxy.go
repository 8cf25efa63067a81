package redistest

import (
	"context"
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Proxy is a TCP proxy in this process that can spoil what it carries; see
// https://github.com/Shopify/toxiproxy for the kinds of toxics.
type Proxy struct {
	// Addr is where the proxy listens. It stays the same over Cut and Mend.
	Addr string

	proxy *toxiproxy.Proxy
}

// NewProxy starts a proxy before upstream, a host:port. It ends with the test.
func NewProxy(t testing.TB, upstream string) *Proxy {
	t.Helper()
	addr, err := freeAddr()
	if err != nil {
		t.Fatal(err)
	}
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &Proxy{Addr: addr, proxy: toxiproxy.NewProxy(api, t.Name(), addr, upstream)}
	p.Mend(t)
	t.Cleanup(p.proxy.Stop)
	return p
}

// Toxic adds a toxic, given as toxiproxy's JSON, to every connection, those that
// are open too:
//
//	{"type": "latency", "stream": "downstream", "attributes": {"latency": 2000}}
//
// It returns a function that removes it.
func (p *Proxy) Toxic(t testing.TB, json string) (remove func()) {
	t.Helper()
	toxic, err := p.proxy.Toxics.AddToxicJson(strings.NewReader(json))
	if err != nil {
		t.Fatalf("redistest: toxic %s: %v", json, err)
	}
	return func() {
		t.Helper()
		if err := p.proxy.Toxics.RemoveToxic(context.Background(), toxic.Name); err != nil {
			t.Fatal(err)
		}
	}
}

// Cut closes all connections and refuses new ones.
func (p *Proxy) Cut() { p.proxy.Stop() }

// Mend ends a Cut.
func (p *Proxy) Mend(t testing.TB) {
	t.Helper()
	if err := p.proxy.Start(); err != nil {
		t.Fatal(err)
	}
}
