package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/internal/serve/inspect"
)

const tagRules = "rules: [{keys: 'info:{symbol}', ttl: 4h, tags: ['market', 'sym:{symbol}']}]\n"

// TestTags lists and invalidates tags in a directory.
func TestTags(t *testing.T) {
	s := newShell(t)
	at := func(args ...string) string { t.Helper(); return s.ok(append(args, "--dir", "d")...) }
	at("set", "a", "12345", "--tag", "x", "--tag", "y")
	at("set", "b", "1", "--tag", "x")
	at("set", "c", "1")
	if out := at("tags"); out != "TAG  KEYS  BYTES\nx    2     6 B\ny    1     5 B\n" {
		t.Errorf("%q", out)
	}
	if got := decode[[]inspect.Tag](t, at("tags", "--json", "--prefix", "y")); len(got) != 1 || got[0] != (inspect.Tag{Tag: "y", Keys: 1, Bytes: 5}) {
		t.Errorf("%+v", got)
	}
	if got := sortedLines(at("tags", "keys", "x")); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q", got)
	}
	if out := at("tags", "keys", "x", "--limit", "1"); strings.Count(out, "\n") != 1 {
		t.Errorf("%q", out)
	}
	at("tags", "invalidate", "y", "nothing")
	s.fails(exitNotFound, `no key carries the tag "y"`, "tags", "keys", "y", "--dir", "d")
	s.fails(exitNotFound, "no value", "get", "a", "--dir", "d")
	if out := at("get", "b"); out != "1\n" {
		t.Errorf("%q", out)
	}
	s.fails(exitUsage, "needs at least one TAG", "tags", "invalidate")
	s.fails(exitUsage, "takes no arguments, or keys or invalidate", "tags", "nope")
	s.fails(exitFailed, "no cache at nope", "tags", "--dir", "nope")
}

// TestLookAtServer asks a running server with a password for all that it tells of
// itself.
func TestLookAtServer(t *testing.T) {
	s := newShell(t)
	s.write("strata.yaml", "server: {password: secret}\n"+tagRules)
	p := startServe(t, ".", "--dir", filepath.Join(t.TempDir(), "data"))
	at := func(args ...string) string { t.Helper(); return s.ok(append(args, "--addr", p.addr)...) }
	at("set", "info:AAPL", "12345")
	at("set", "info:MSFT", "1")
	at("set", "other", "1")
	at("get", "other")
	if out := at("tags"); out != "TAG       KEYS  BYTES\nmarket    2     6 B\nsym:AAPL  1     5 B\nsym:MSFT  1     1 B\n" {
		t.Errorf("%q", out)
	}
	if out := at("tags", "keys", "sym:AAPL"); out != "info:AAPL\n" {
		t.Errorf("%q", out)
	}
	x := decode[inspect.Explained](t, at("explain", "info:AAPL", "--json"))
	if x.Rule == "default" || len(x.Tiers) != 2 || x.Tiers[0].Tier != "memory" || !x.Tiers[0].Present || !x.Tiers[1].Present || x.Tiers[1].Size != 5 {
		t.Errorf("explain: %+v", x)
	}
	if out := at("explain", "info:AAPL"); !strings.Contains(out, "memory  yes") || !strings.Contains(out, "tags market,sym:AAPL") {
		t.Errorf("explain: %s", out)
	}
	st := decode[inspect.Stats](t, at("stats", "--json"))
	if st.Server == nil || st.Server.Hits < 1 || st.Server.Clients != 1 || len(st.Tiers) != 2 || st.Tiers[1].Work == nil || len(st.Rules) != 2 {
		t.Errorf("stats: %+v", st)
	}
	if out := at("stats"); !strings.Contains(out, "server") || !strings.Contains(out, "breaker") || !strings.Contains(out, "rule info ") {
		t.Errorf("stats: %s", out)
	}
	at("tags", "invalidate", "sym:AAPL")
	s.fails(exitNotFound, "no value", "get", "info:AAPL", "--addr", p.addr)
	s.fails(exitNotFound, "no tier holds", "explain", "nothing", "--addr", p.addr)
	s.write("strata.yaml", tagRules)
	s.fails(exitFailed, "set STRATA_SERVER_PASSWORD", "stats", "--addr", p.addr)
	s.env["STRATA_SERVER_PASSWORD"] = "wrong"
	s.fails(exitFailed, "set STRATA_SERVER_PASSWORD", "explain", "a", "--addr", p.addr)
}

// TestLookAtRedis: what only strata tells is not asked of Redis in vain.
func TestLookAtRedis(t *testing.T) {
	s, r := newShell(t), redistest.Start(t)
	for _, args := range []string{"stats", "tags", "tags keys t", "tags invalidate t", "explain k"} {
		s.fails(exitFailed, "is no strata server", append(strings.Fields(args), "--addr", r.Addr)...)
	}
}

// TestStatsWatch prints again and again.
func TestStatsWatch(t *testing.T) {
	s := newShell(t)
	s.ok("--dir", "d", "set", "k", "v")
	out := s.ok("--dir", "d", "stats", "--watch", "--every", "1ms", "--rounds", "3", "--json")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 3 || decode[inspect.Stats](t, lines[2]).Tiers[0].Entries != 1 {
		t.Errorf("%q", out)
	}
	if out := s.ok("--dir", "d", "stats", "-w", "--every", "1ms", "--rounds", "2"); strings.Count(out, "OF    FIGURE") != 2 {
		t.Errorf("%q", out)
	}
	s.fails(exitUsage, "no time between", "--dir", "d", "stats", "-w", "--every", "0s")
	s.fails(exitUsage, "no time between", "top", "--every", "-1s", "--addr", "127.0.0.1:1")
}

// TestServeEngine: the engine of a server is packed unless the configuration names
// another.
func TestServeEngine(t *testing.T) {
	s := newShell(t)
	for engine, packed := range map[string]bool{"auto": true, "packed": true, "ristretto": false, "otter": false} {
		s.write("strata.yaml", "tiers: {memory: {engine: "+engine+"}}\n")
		p := startServe(t, ".")
		s.ok("set", "k", "v", "--addr", p.addr)
		if out := s.ok("get", "k", "--addr", p.addr); out != "v\n" {
			t.Errorf("%s: %q", engine, out)
		}
		st := decode[inspect.Stats](t, s.ok("stats", "--json", "--addr", p.addr))
		if _, ok := st.Tiers[0].Extra["log_bytes"]; ok != packed {
			t.Errorf("%s: %+v", engine, st.Tiers[0])
		}
	}
}
