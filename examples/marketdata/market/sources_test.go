package market

import (
	"errors"
	"testing"
	"time"

	"github.com/stratacache/strata/store"
)

func TestSources(t *testing.T) {
	s := newSources(quiet())
	s.Load("a", time.Second, nil)
	s.Hit("disk", "b")
	s.Hit("disk", "a")
	s.Hit("memory", "a")
	for key, want := range map[string]string{"a": "memory", "b": "disk", "c": ""} {
		if got := s.of(key); got != want {
			t.Errorf("source of %s = %q, want %q", key, got, want)
		}
	}
	if s.count("disk") != 2 || s.count("memory") != 1 || s.count("redis") != 0 || s.keys() != 2 {
		t.Errorf("counts = %v, %d keys", s.hits, s.keys())
	}
}

func TestSourcesFailed(t *testing.T) {
	s := newSources(quiet())
	first, last := errors.New("refused"), errors.New("gone")
	s.Error(&store.Error{Op: "get", Tier: "redis", Err: first})
	s.Error(&store.Error{Op: "get", Tier: "redis", Err: last})
	if f := s.failed(); len(f) != 1 || !errors.Is(f["redis"], last) {
		t.Errorf("failed = %v, want the last error of redis", f)
	}
}
