package main

import (
	"strings"
	"testing"
)

// TestDemo: the second run needs no call, and the commands see what the first one
// left.
func TestDemo(t *testing.T) {
	s := newShell(t)
	type outcome struct {
		Calls int64  `json:"api_calls"`
		Dir   string `json:"dir"`
	}
	if o := decode[outcome](t, s.ok("demo", "--json")); o.Calls == 0 || o.Dir != ".strata/demo" {
		t.Errorf("first run: %+v", o)
	}
	if o := decode[outcome](t, s.ok("demo", "--json")); o.Calls != 0 {
		t.Errorf("second run: %+v", o)
	}
	if out := s.ok("demo"); !strings.Contains(out, "A second run needs 0 API calls") || !strings.Contains(out, "strata --dir .strata/demo scan") {
		t.Errorf("%s", out)
	}
	if out := s.ok("--dir", ".strata/demo", "explain", "price:AAPL"); !strings.Contains(out, "disk  yes") {
		t.Errorf("%s", out)
	}
	s.write("file", "")
	s.fails(exitFailed, "not a directory", "demo", "--dir", "file/x")
	s.fails(exitUsage, "takes no arguments", "demo", "x")
}
