package policy

import (
	"slices"
	"strings"
)

// Restrict returns the set for a program that has the named tiers only: what a
// rule says of others is left out, so that one set of rules serves machines with
// and without a tier. A rule that would be left without any tier is an error.
func (s *Set) Restrict(tiers ...string) (*Set, error) {
	if s == nil {
		return nil, nil
	}
	b := &builder{}
	for i, old := range s.rules {
		r := old.clone()
		if r.TTL == 0 {
			r.TTL = Never
		}
		b.add(r, nil)
		absent := func(tier string) bool { return !slices.Contains(tiers, tier) }
		if r.Tiers = slices.DeleteFunc(r.Tiers, absent); old.Tiers != nil && len(r.Tiers) == 0 {
			r.Tiers = nil
			b.complain(i, "tiers", "%s: none of them is configured (there are: %s)", strings.Join(old.Tiers, ", "), strings.Join(tiers, ", "))
		}
		for tier := range old.TierTTL {
			if absent(tier) {
				delete(r.TierTTL, tier)
			}
		}
	}
	return b.build()
}

// WithoutDurable returns the set with durable off in every rule, for a program
// that has no journal: a tool that looks at what another one keeps.
func (s *Set) WithoutDurable() (*Set, error) {
	if s == nil {
		return nil, nil
	}
	b := &builder{}
	for _, old := range s.rules {
		r := old.clone()
		r.Durable = false
		if r.TTL == 0 {
			r.TTL = Never
		}
		b.add(r, nil)
	}
	return b.build()
}
