package chain

import (
	"fmt"
	"slices"
	"time"

	"github.com/stratacache/strata/marshal"
	"github.com/stratacache/strata/policy"
)

// plan is what a rule means for this chain: worked out once, read on every
// operation that is not a plain memory hit.
type plan struct {
	rule  *policy.Rule // nil: no rule matched
	stats *ruleCounts
	name  string // for metrics and Explain

	memory    bool          // values are held in the memory tier
	memoryTTL time.Duration // bound of that tier; 0: none
	tiers     []placed      // the tiers that hold bytes, nearest first

	durable  bool          // acknowledged once it is in the journal
	ttl      time.Duration // or never
	grace    time.Duration
	jitter   float64
	swr, sie time.Duration // stale-while-revalidate, stale-if-error
	negative time.Duration
	soft     time.Duration
	hard     time.Duration
	lease    time.Duration // 0: none

	refreshAhead, early float64
	neverStale          bool
	plain               bool // values go over the wire without their version

	codec    string           // name that the rule gives; empty: the type's default
	compress string           // name of a compression; empty: none
	keys     *marshal.Keyring // nil: values are not encrypted
}

// placed is a tier as a rule uses it.
type placed struct {
	*tier
	at   int // its place in plan.tiers
	mode policy.WriteMode
	ttl  time.Duration // bound; 0: none

	answered *counter // reads of the rule's keys that the tier answered
}

// backOnly reports whether no tier is written before the caller is answered.
func (p *plan) backOnly() bool {
	for i := range p.tiers {
		if p.tiers[i].mode != policy.WriteBack {
			return false
		}
	}
	return true
}

// free reports whether a Set waits for neither a tier nor the disk.
func (p *plan) free() bool { return !p.durable && p.backOnly() }

// has reports whether any tier of the plan is written in mode.
func (p *plan) has(mode policy.WriteMode) bool {
	return slices.ContainsFunc(p.tiers, func(t placed) bool { return t.mode == mode })
}

// makePlans compiles a plan for every rule and one for keys without a rule.
func (c *Chain) makePlans() error {
	c.plans = make(map[*policy.Rule]*plan)
	for _, r := range c.policies.Rules() {
		p, err := c.makePlan(r)
		if err != nil {
			return err
		}
		c.plans[r] = p
	}
	p, err := c.makePlan(&policy.Rule{TTL: c.opts.DefaultTTL})
	if err != nil {
		return err
	}
	p.rule, p.name = nil, "default"
	if c.policies.Lookup(p.name) != nil {
		p.name = "(default)" // which no rule can be called
	}
	c.unruled = p
	return nil
}

func (c *Chain) makePlan(r *policy.Rule) (*plan, error) {
	p := &plan{
		stats: new(ruleCounts),
		rule:  r, name: r.Name, ttl: r.TTL, grace: r.Grace(), jitter: r.Jitter,
		swr: r.StaleWhileRevalidate, sie: r.StaleIfError, negative: r.NegativeTTL,
		soft: r.SoftTimeout, hard: r.HardTimeout, lease: r.Lease, refreshAhead: r.RefreshAhead, early: r.Early,
		neverStale: r.NeverStale, codec: r.Codec, compress: r.Compress, durable: r.Durable,
		plain: r.Wire == policy.WirePlain,
	}
	if p.ttl == 0 {
		p.ttl = never
	}
	c.leases = c.leases || p.lease > 0
	if p.hard == 0 {
		p.hard = c.opts.LoadTimeout
	}
	for _, name := range r.Tiers {
		if !slices.ContainsFunc(c.tiers, func(t *tier) bool { return t.Name == name }) {
			return nil, fmt.Errorf("strata: rule %q names tier %q, but the chain has %s", r.Name, name, c.tierNames())
		}
	}
	for name := range r.TierTTL {
		if !slices.ContainsFunc(c.tiers, func(t *tier) bool { return t.Name == name }) {
			return nil, fmt.Errorf("strata: rule %q has a TTL for tier %q, but the chain has %s", r.Name, name, c.tierNames())
		}
	}
	for _, t := range c.tiers {
		if r.Tiers != nil && !slices.Contains(r.Tiers, t.Name) {
			continue
		}
		bound := tighter(t.TTL, r.TierTTL[t.Name])
		if t.objects != nil {
			p.memory, p.memoryTTL = true, bound
			continue
		}
		p.tiers = append(p.tiers, placed{tier: t, at: len(p.tiers), mode: c.modeOf(r, t), ttl: bound, answered: new(counter)})
	}
	if r.Encrypt != "" {
		if p.keys = c.opts.Keyrings[r.Encrypt]; p.keys == nil {
			return nil, fmt.Errorf("strata: rule %q encrypts with key ring %q, which is not in Options.Keyrings", r.Name, r.Encrypt)
		}
	}
	if r.Durable && c.opts.Pending.Journal == "" {
		return nil, fmt.Errorf("strata: rule %q is durable, which needs Options.Pending.Journal", r.Name)
	}
	return p, nil
}

func (c *Chain) modeOf(r *policy.Rule, t *tier) policy.WriteMode {
	switch {
	case r.Write != "":
		return r.Write
	case t.WriteBack:
		return policy.WriteBack
	default:
		return policy.WriteThrough
	}
}

// tighter returns the smaller of two bounds, where 0 is none.
func tighter(a, b time.Duration) time.Duration {
	if a <= 0 {
		return max(b, 0)
	}
	if b <= 0 {
		return a
	}
	return min(a, b)
}

// plan returns the plan of key. It allocates nothing.
func (c *Chain) plan(key string) *plan {
	if r := c.policies.Match(key); r != nil {
		return c.plans[r]
	}
	return c.unruled
}
