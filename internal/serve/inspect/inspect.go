// Package inspect is what the command and the server's STRATA command say of a
// chain, in the form that it has as JSON.
package inspect

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// Explained says where a key lies, and why.
type Explained struct {
	Key   string `json:"key"`
	Rule  string `json:"rule"`
	Why   string `json:"why"`
	Tiers []Tier `json:"tiers"`
}

// Tier is what a tier holds of a key.
type Tier struct {
	Tier    string     `json:"tier"`
	Placed  bool       `json:"placed"`
	Mode    string     `json:"mode,omitempty"`
	Present bool       `json:"present"`
	Expires *time.Time `json:"expires,omitempty"`
	Fresh   *time.Time `json:"fresh,omitempty"`
	Size    int64      `json:"size"`
	Codec   string     `json:"codec,omitempty"`
	Version uint64     `json:"version,omitempty"`
	Tags    []string   `json:"tags,omitempty"`
	Covered bool       `json:"covered,omitempty"`
	Pending string     `json:"pending,omitempty"`
	Error   string     `json:"error,omitempty"`
}

// Explain asks the chain's tiers for key, but for the one named without.
func Explain(ctx context.Context, c *chain.Chain, key, without string) (Explained, error) {
	x, err := c.Explain(ctx, key)
	if err != nil {
		return Explained{}, err
	}
	res := Explained{Key: x.Key, Rule: x.Rule, Why: x.Why, Tiers: []Tier{}}
	for i := range x.Tiers {
		if x.Tiers[i].Tier != without {
			res.Tiers = append(res.Tiers, tierOf(&x.Tiers[i]))
		}
	}
	return res, nil
}

func tierOf(t *chain.TierExplanation) Tier {
	info := Tier{Tier: t.Tier, Placed: t.Placed, Mode: t.Mode, Present: t.Present, Expires: Deadline(t.Expires), Fresh: Deadline(t.Fresh),
		Size: t.Size, Codec: t.Codec, Version: t.Version, Tags: t.Tags, Covered: t.Covered, Pending: t.Pending}
	if t.Err != nil {
		info.Error = t.Err.Error()
	}
	return info
}

// Deadline returns t in UTC; nil is never.
func Deadline(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Tag is what carries a tag.
type Tag struct {
	Tag   string `json:"tag"`
	Keys  int64  `json:"keys"`
	Bytes int64  `json:"bytes"` // of their values; what memory charges for them where no other tier has them
}

// Tags returns the tags that begin with prefix, sorted. It goes through all keys,
// in whatever tier they are, and changes nothing there.
func Tags(ctx context.Context, c *chain.Chain, prefix string) ([]Tag, error) {
	all := map[string]*Tag{}
	err := eachTagged(ctx, c, func(_ string, t *chain.TierExplanation) bool {
		for _, tag := range t.Tags {
			if !strings.HasPrefix(tag, prefix) {
				continue
			}
			if all[tag] == nil {
				all[tag] = &Tag{Tag: tag}
			}
			all[tag].Keys++
			all[tag].Bytes += t.Size
		}
		return true
	})
	sorted := make([]Tag, 0, len(all))
	for _, t := range all {
		sorted = append(sorted, *t)
	}
	slices.SortFunc(sorted, func(a, b Tag) int { return cmp.Compare(a.Tag, b.Tag) })
	return sorted, err
}

// Tagged returns the keys that carry a tag, at most limit unless that is 0.
func Tagged(ctx context.Context, c *chain.Chain, tag string, limit int) ([]string, error) {
	keys := []string{}
	err := eachTagged(ctx, c, func(key string, t *chain.TierExplanation) bool {
		if slices.Contains(t.Tags, tag) {
			keys = append(keys, key)
		}
		return limit == 0 || len(keys) < limit
	})
	return keys, err
}

// eachTagged calls f for each key that counts in a tier, with the farthest such one
// (memory knows its values' cost, not their bytes), until f returns false.
func eachTagged(ctx context.Context, c *chain.Chain, f func(key string, t *chain.TierExplanation) bool) error {
	for key, err := range c.Scan(ctx, "") {
		if err != nil {
			return err
		}
		x, err := c.Explain(ctx, key)
		if err != nil {
			return err
		}
		for i := range slices.Backward(x.Tiers) {
			if t := &x.Tiers[i]; t.Present && !t.Covered && t.Pending != "delete" {
				if !f(key, t) {
					return nil
				}
				break
			}
		}
	}
	return ctx.Err()
}

// Stats are the figures of a chain, and of the server that it is behind.
type Stats struct {
	Server *Server `json:"server,omitempty"`
	Chain  *Chain  `json:"chain,omitempty"`
	Tiers  []Held  `json:"tiers"`
	Rules  []Rule  `json:"rules,omitempty"`
}

// Server are the counters of a server.
type Server struct {
	UptimeSeconds int64  `json:"uptime_seconds"`
	Clients       int    `json:"clients"`
	Subscribers   int    `json:"subscribers"`
	Connections   uint64 `json:"connections"`
	Refused       uint64 `json:"refused"`
	Commands      uint64 `json:"commands"`
	Errors        uint64 `json:"errors"`
	Hits          uint64 `json:"hits"`
	Misses        uint64 `json:"misses"`
	Published     uint64 `json:"published"`
}

// Chain are the counters of a chain that belong to no tier.
type Chain struct {
	Misses       uint64 `json:"misses"`
	Stale        uint64 `json:"stale"`
	NegativeHits uint64 `json:"negative_hits"`
	PendingHits  uint64 `json:"pending_hits"`
	Loads        uint64 `json:"loads"`
	LoadErrors   uint64 `json:"load_errors"`
	Corrupt      uint64 `json:"corrupt"`
	QueueFull    uint64 `json:"queue_full"`
}

// Held is what a tier holds, and, for a chain that has been at work, what it did.
type Held struct {
	Tier     string             `json:"tier"`
	Entries  int64              `json:"entries"`
	Bytes    int64              `json:"bytes"`
	Capacity int64              `json:"capacity,omitempty"`
	Extra    map[string]float64 `json:"extra,omitempty"`
	Work     *Work              `json:"work,omitempty"`
}

// Work are the counters of a tier.
type Work struct {
	Hits           uint64  `json:"hits"`
	Misses         uint64  `json:"misses"`
	Errors         uint64  `json:"errors"`
	Skipped        uint64  `json:"skipped"`
	Fills          uint64  `json:"fills"`
	Evictions      uint64  `json:"evictions"`
	Expired        uint64  `json:"expired"`
	Breaker        string  `json:"breaker"`
	Pending        int     `json:"pending"`
	PendingBytes   int64   `json:"pending_bytes"`
	PendingSeconds float64 `json:"pending_seconds"`
	Lost           uint64  `json:"lost"`
	ReadMicros     float64 `json:"read_micros"`  // mean
	WriteMicros    float64 `json:"write_micros"` // mean
}

// Rule are the counters of a rule.
type Rule struct {
	Rule       string `json:"rule"`
	Hits       uint64 `json:"hits"`
	Misses     uint64 `json:"misses"`
	Loads      uint64 `json:"loads"`
	LoadErrors uint64 `json:"load_errors"`
}

// StatsOf returns the figures of a chain that is at work.
func StatsOf(s *chain.Stats) Stats {
	res := Stats{Tiers: []Held{}, Chain: &Chain{
		Misses: s.Misses, Stale: s.Stale, NegativeHits: s.NegativeHits, PendingHits: s.PendingHits,
		Loads: s.Loads, LoadErrors: s.LoadErrors, Corrupt: s.Corrupt, QueueFull: s.QueueFull,
	}}
	for i := range s.Tiers {
		t := &s.Tiers[i]
		h := HeldOf(t.Name, &t.Store)
		h.Work = &Work{
			Hits: t.Hits, Misses: t.Misses, Errors: t.Errors, Skipped: t.Skipped, Fills: t.Fills,
			Evictions: t.Store.Evictions, Expired: t.Store.Expired, Breaker: t.Breaker,
			Pending: t.Pending.Entries, PendingBytes: t.Pending.Bytes, PendingSeconds: t.Pending.Age, Lost: t.Pending.Lost,
			ReadMicros: mean(t.Reads), WriteMicros: mean(t.Writes),
		}
		res.Tiers = append(res.Tiers, h)
	}
	for _, r := range s.Rules {
		res.Rules = append(res.Rules, Rule{r.Name, r.Hits, r.Misses, r.Loads, r.LoadErrors})
	}
	return res
}

// HeldOf returns what a store holds.
func HeldOf(tier string, s *store.Stats) Held {
	return Held{Tier: tier, Entries: s.Entries, Bytes: s.Bytes, Capacity: s.Capacity, Extra: s.Extra}
}

func mean(l chain.Latency) float64 {
	if l.Count == 0 {
		return 0
	}
	return float64(l.Total.Nanoseconds()) / float64(l.Count) / 1000
}
