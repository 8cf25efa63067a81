package chaintest

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stratacache/strata/internal/mapstore"
	"github.com/stratacache/strata/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMapStore(t *testing.T) {
	Run(t, func(testing.TB) store.Store { return mapstore.New() }, nil)
}

// TestPlain: four methods and a Fill are enough.
func TestPlain(t *testing.T) {
	Run(t, func(testing.TB) store.Store { return newPlain() }, nil)
}

// buggy is a map with a bug.
type buggy struct {
	*plain
	bug string
	n   int
	mu  sync.Mutex
}

func (s *buggy) Get(ctx context.Context, key string) (store.Entry, error) {
	e, err := s.plain.Get(ctx, key)
	switch {
	case s.bug == "misses are zero values" && err != nil:
		return store.Entry{}, nil
	case s.bug == "deadlines are lost" && err == nil:
		e.Expires, e.Fresh = time.Time{}, time.Time{}
	case s.bug == "no deadline becomes one" && err == nil && e.Expires.IsZero():
		e.Expires = time.Now().Add(time.Minute)
	case s.bug == "versions and tags are lost" && err == nil:
		e.Version, e.Tags = 0, nil
	}
	return e, err
}

func (s *buggy) Set(ctx context.Context, key string, e store.Entry) error {
	s.mu.Lock()
	s.n++
	n := s.n
	s.mu.Unlock()
	switch {
	case s.bug == "a write in ten is lost" && n%10 == 0:
		return nil
	case s.bug == "the first write stays":
		if _, err := s.plain.Get(ctx, key); err == nil {
			return nil
		}
	}
	return s.plain.Set(ctx, key, e)
}

func (s *buggy) Delete(ctx context.Context, key string) error {
	if s.bug == "deletes do nothing" {
		return nil
	}
	return s.plain.Delete(ctx, key)
}

func (s *buggy) GetMany(ctx context.Context, keys []string) (map[string]store.Entry, error) {
	found := map[string]store.Entry{}
	for _, key := range keys {
		if e, err := s.Get(ctx, key); err == nil {
			found[key] = e
		}
	}
	if s.bug == "a batch answers for another key" && len(keys) > 1 {
		found[keys[0]] = found[keys[1]]
	}
	return found, nil
}

// TestPlantedBugsFail: each bug fails the cases that it names.
func TestPlantedBugsFail(t *testing.T) {
	for bug, names := range map[string]string{
		"misses are zero values":          "DeleteRace LoadRace",
		"deadlines are lost":              "Deadlines",
		"no deadline becomes one":         "Deadlines",
		"versions and tags are lost":      "Tags",
		"a write in ten is lost":          "CloseDrains",
		"the first write stays":           "WriteBackOrder SetRace",
		"deletes do nothing":              "WriteBackOrder DeleteRace",
		"a batch answers for another key": "Batches",
	} {
		for _, name := range strings.Fields(names) {
			t.Run(bug+"/"+name, func(t *testing.T) {
				o := &outcome{TB: t}
				for _, c := range cases() {
					if c.name == name {
						done := make(chan struct{})
						go func() {
							defer close(done)
							defer o.end()
							c.do(o, func(testing.TB) store.Store { return &buggy{plain: newPlain(), bug: bug} }, Options{Rounds: 100})
						}()
						<-done
					}
				}
				if !o.Failed() {
					t.Errorf("a store of which %s passes", bug)
				}
			})
		}
	}
}

// outcome is a testing.TB that records whether a case failed.
type outcome struct {
	testing.TB
	mu       sync.Mutex
	failed   bool
	cleanups []func()
}

func (o *outcome) fail() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed = true
}

func (o *outcome) Failed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed
}

func (o *outcome) Helper()                   {}
func (o *outcome) Logf(string, ...any)       {}
func (o *outcome) Error(...any)              { o.fail() }
func (o *outcome) Errorf(string, ...any)     { o.fail() }
func (o *outcome) Fatal(...any)              { o.fail(); runtime.Goexit() }
func (o *outcome) Fatalf(f string, a ...any) { o.Fatal(fmt.Sprintf(f, a...)) }
func (o *outcome) Cleanup(f func())          { o.cleanups = append(o.cleanups, f) }

func (o *outcome) end() {
	for i := len(o.cleanups) - 1; i >= 0; i-- {
		o.cleanups[i]()
	}
}

func TestCasesAreExplained(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range cases() {
		if seen[c.name] || len(c.why) < 20 {
			t.Errorf("case %q: repeated or unexplained", c.name)
		}
		seen[c.name] = true
	}
}
