package market

import (
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// loaded is where an answer came from that no tier had: the API, or a
// computation on what the API had said.
const loaded = "loaded"

// sources is an observer of the chain that remembers, for each key, where its
// last answer came from, and counts the hits of each tier.
type sources struct {
	chain.NopObserver
	log *slog.Logger // of tiers that go down and come back

	mu   sync.Mutex
	last map[string]string // by key
	hits map[string]int64  // by tier
	errs map[string]error  // the last error of a tier, by its name
}

func newSources(log *slog.Logger) *sources {
	return &sources{log: log, last: map[string]string{}, hits: map[string]int64{}, errs: map[string]error{}}
}

// Hit implements chain.Observer.
func (s *sources) Hit(tier, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last[key] = tier
	s.hits[tier]++
}

// Load implements chain.Observer.
func (s *sources) Load(key string, _ time.Duration, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last[key] = loaded
}

// Error implements chain.Observer.
func (s *sources) Error(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tier := "unknown tier"
	if e := (*store.Error)(nil); errors.As(err, &e) {
		tier = e.Tier
	}
	s.errs[tier] = err
}

// Breaker implements chain.Observer.
func (s *sources) Breaker(tier, state string) {
	s.log.Warn("a tier's circuit breaker changed", "tier", tier, "state", state)
}

// of returns where the last answer for key came from: a tier's name or loaded.
func (s *sources) of(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last[key]
}

// count returns the hits of a tier.
func (s *sources) count(tier string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hits[tier]
}

// keys returns the number of distinct keys that were answered.
func (s *sources) keys() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.last)
}

// failed returns the last error of each tier that had one.
func (s *sources) failed() map[string]error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.errs)
}
