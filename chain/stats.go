package chain

import (
	"errors"
	"time"

	"github.com/stratacache/strata/store"
)

// counts are the chain's own counters.
type counts struct {
	misses, stale, negative         counter
	loads, loadErrors               counter
	pendingHits, fenced, leaseWaits counter
	typeMisses, corrupt, queueFull  counter
	loadTime                        histogram
}

// Stats is a snapshot of a chain's counters. Counters only grow; they are read
// one after the other, not at one instant.
type Stats struct {
	Tiers []TierStats // nearest first

	Misses       uint64 // walks in which no tier had a fresh value; readers who share one count once
	Stale        uint64 // values served past their soft deadline
	NegativeHits uint64 // reads answered by a remembered "not found"
	PendingHits  uint64 // reads answered by a write not yet in its tier
	Loads        uint64 // loader calls
	LoadErrors   uint64 // that failed with anything but "not found"
	LoadTime     Latency
	TypeMisses   uint64 // entries of another type or codec, treated as misses
	Corrupt      uint64 // entries that failed their check, treated as misses
	Fenced       uint64 // fills dropped because a write or delete had come
	LeaseWaits   uint64 // loads that waited for another process's
	QueueFull    uint64 // write-backs that found their queue full
	Negatives    int    // keys remembered as not found
	Journal      JournalStats
	Feed         FeedStats // zero without Options.Feed
	// Rules are the counters of each rule, in the order of the policies, and at last
	// those of the keys that no rule matches.
	Rules []RuleStats
}

// RuleStats are the counters of one rule's keys. What memory answers at once is not
// among them: such a read does not look for its rule.
type RuleStats struct {
	Name       string // "default" for the keys without a rule; "(default)" where a rule has that name
	Hits       uint64 // reads that a tier of bytes, or a pending write, answered
	Misses     uint64 // walks in which no tier had a fresh value
	Loads      uint64 // keys that a loader was called for
	LoadErrors uint64 // of those, the failures but "not found"
	LoadTime   Latency
	Tiers      []RuleTierStats // the rule's tiers of bytes, nearest first
}

// RuleTierStats are the counters of one rule's keys in one tier.
type RuleTierStats struct {
	Name string
	Hits uint64 // reads that the tier answered
}

// ruleCounts are the counters behind RuleStats.
type ruleCounts struct {
	hits, misses, loads, loadErrors counter
	loadTime                        histogram
}

func (p *plan) ruleStats() RuleStats {
	n := p.stats
	s := RuleStats{
		Name: p.name, Hits: n.hits.load(), Misses: n.misses.load(), Loads: n.loads.load(),
		LoadErrors: n.loadErrors.load(), LoadTime: n.loadTime.snapshot(),
	}
	for _, t := range p.tiers {
		s.Tiers = append(s.Tiers, RuleTierStats{Name: t.Name, Hits: t.answered.load()})
	}
	return s
}

// countLoad counts a load of a key of the plan.
func (p *plan) countLoad(took time.Duration, err error) {
	p.stats.loads.add(1)
	p.stats.loadTime.observe(took)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		p.stats.loadErrors.add(1)
	}
}

// TierStats are the counters of one tier, as the chain saw it.
type TierStats struct {
	Name    string
	Hits    uint64
	Misses  uint64 // the tier answered "not found"; in memory: reads that it could not answer
	Errors  uint64 // calls that failed
	Skipped uint64 // calls not made because the circuit breaker was open
	Fills   uint64 // values read or loaded that were put into the tier; writes do not count
	Dropped uint64 // fills that were not: queue full, refused or failed
	Breaker string // "closed", "open" or "half-open"
	Reads   Latency
	Writes  Latency
	Pending PendingStats
	Store   store.Stats // what the store itself counts; zero where it does not
}

// A hit in memory reads the coarse clock, which is as late as the goroutine that
// refreshes it: very late where the process stood still. So the first exactHits that a
// counter's cell counts in a tick, all of most programs, and every refreshEvery-th
// after them read the precise clock: whoever goes on after a stall is served nothing
// that has expired, but in the midst of a tight loop, and there for some hits.
const (
	exactHits    = 64
	refreshEvery = 256
)

// hitUntil counts a memory hit of what needs no thought until hot, unless that time has
// come.
func (c *Chain) hitUntil(hot int64) bool {
	if c.now.Passed(hot) {
		return false
	}
	all, since := c.memory.hits.addSinceTick(c.now.Ticks())
	if since > exactHits && all%refreshEvery != 0 {
		return true
	}
	c.now.Refresh()
	if c.now.Passed(hot) {
		c.memory.hits.add(^uint64(0)) // it was none
		return false
	}
	return true
}

// Stats returns the chain's counters.
func (c *Chain) Stats() Stats {
	n := &c.counts
	s := Stats{
		Misses: n.misses.load(), Stale: n.stale.load(), NegativeHits: n.negative.load(),
		PendingHits: n.pendingHits.load(), Loads: n.loads.load(), LoadErrors: n.loadErrors.load(),
		LoadTime: n.loadTime.snapshot(), TypeMisses: n.typeMisses.load(), Corrupt: n.corrupt.load(),
		Fenced: n.fenced.load(), LeaseWaits: n.leaseWaits.load(), QueueFull: n.queueFull.load(), Negatives: c.absent.len(),
	}
	for _, t := range c.tiers {
		s.Tiers = append(s.Tiers, t.stats())
	}
	for _, r := range c.policies.Rules() {
		s.Rules = append(s.Rules, c.plans[r].ruleStats())
	}
	s.Rules = append(s.Rules, c.unruled.ruleStats())
	if c.ledger != nil {
		s.Journal = c.ledger.stats()
	}
	if c.notices != nil {
		s.Feed = c.notices.stats()
	}
	return s
}

func (t *tier) stats() TierStats {
	s := TierStats{
		Name: t.Name, Hits: t.hits.load(), Misses: t.misses.load(), Errors: t.errs.load(),
		Skipped: t.skipped.load(), Fills: t.fills.load(), Dropped: t.dropped.load(),
		Breaker: t.state(), Reads: t.reads.snapshot(), Writes: t.writes.snapshot(),
	}
	if t.queue != nil {
		s.Pending = t.queue.stats()
	}
	s.Store, _ = store.StatsOf(t.Store)
	return s
}
