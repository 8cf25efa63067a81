package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// TestRemote runs the data commands against a running server.
func TestRemote(t *testing.T) {
	s := newShell(t)
	p := startServe(t, t.TempDir(), "--dir", filepath.Join(t.TempDir(), "data"))
	at := func(args ...string) string { t.Helper(); return s.ok(append(args, "--addr", p.addr)...) }
	at("set", "a:1", "one")
	at("set", "a:2", "two", "--ttl", "1h")
	at("set", "b*", "three")
	for _, c := range []struct{ want, args string }{
		{"one\n", "get a:1"}, {"never\n", "ttl a:1"}, {"a:1\na:2\n", "scan a:"}, {"b*\n", "scan b*"},
	} {
		got := at(strings.Fields(c.args)...)
		if strings.HasPrefix(c.args, "scan") {
			got = strings.Join(sortedLines(got), "\n") + "\n"
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.args, got, c.want)
		}
	}
	if got := decode[ttlInfo](t, at("ttl", "a:2", "--json")); got.Seconds == nil || *got.Seconds < 3500 || *got.Seconds > 3600 {
		t.Errorf("ttl: %+v", got)
	}
	if got := decode[entryInfo](t, at("get", "a:2", "--json")); got.Value == nil || *got.Value != "two" || got.Expires == nil {
		t.Errorf("get: %+v", got)
	}
	at("del", "a:1", "nothing")
	s.fails(exitNotFound, "no value", "get", "a:1", "--addr", p.addr)
	s.fails(exitNotFound, "no value", "ttl", "a:1", "--addr", p.addr)
	s.fails(exitUsage, "no tags", "set", "k", "v", "--tag", "t", "--addr", p.addr)
	s.fails(exitFailed, "refused", "get", "k", "--addr", "127.0.0.1:1")
	s.fails(exitUsage, "--addr", "top")
	var line topInfo
	if err := json.Unmarshal([]byte(at("top", "--rounds", "1", "--every", "10ms", "--json")), &line); err != nil || line.Clients != 1 || line.Tiers["disk"] == "" {
		t.Errorf("top: %+v, %v", line, err)
	}
	if out := at("top", "--rounds", "2", "--every", "10ms"); strings.Count(out, "\n") != 3 || !strings.Contains(out, "disk") {
		t.Errorf("top: %q", out)
	}
}

func sortedLines(s string) []string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	if len(lines) == 2 && lines[0] > lines[1] {
		lines[0], lines[1] = lines[1], lines[0]
	}
	return lines
}

// TestTTLOfDirectory is ttl without a server.
func TestTTLOfDirectory(t *testing.T) {
	s := newShell(t)
	s.ok("--dir", "d", "set", "k", "v", "--ttl", "1h")
	if got := s.ok("--dir", "d", "ttl", "k"); !strings.HasPrefix(got, "59m") && got != "1h\n" {
		t.Errorf("ttl: %q", got)
	}
	s.fails(exitNotFound, "no value", "--dir", "d", "ttl", "nothing")
}

func TestConfigSchema(t *testing.T) {
	s := newShell(t)
	if got := decode[map[string]any](t, s.ok("config", "schema")); got["title"] != "strata.yaml" {
		t.Errorf("schema: %v", got)
	}
}
