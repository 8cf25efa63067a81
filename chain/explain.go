package chain

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/stratacache/strata/internal/clock"
	"github.com/stratacache/strata/store"
)

// Explanation says where a key lies and why.
type Explanation struct {
	Key  string
	Rule string // name of the rule that matched; "default" without one
	Why  string // how the rule was chosen
	// Absent is set where the key is remembered as not found.
	Absent bool
	Tiers  []TierExplanation
}

// TierExplanation is what one tier holds of a key.
type TierExplanation struct {
	Tier    string
	Placed  bool   // the rule names this tier
	Mode    string // "through", "back" or "around"; empty for memory
	Present bool
	Expires time.Time // zero: never
	Fresh   time.Time // soft deadline; zero: never
	Size    int64     // bytes of the value; in memory, the estimate it is charged for
	Codec   string
	Version uint64
	Tags    []string
	Covered bool   // a tag or Clear barrier covers the entry: it is not served
	Pending string // "write" or "delete" where the tier has yet to take one
	// PendingFor is how long it has waited, PendingErr why the last attempt
	// failed. Durable says that it is in the journal.
	PendingFor time.Duration
	PendingErr error
	Durable    bool
	Err        error // why the tier could not be asked
}

// Explain asks every tier for key, without changing what any of them holds and
// without counting as a read. It returns store.ErrClosed or store.ErrInvalidKey
// for what cannot be asked; a tier's failure is in its TierExplanation.
func (c *Chain) Explain(ctx context.Context, key string) (Explanation, error) {
	if err := c.check(key); err != nil {
		return Explanation{}, err
	}
	p := c.plan(key)
	x := Explanation{Key: key, Rule: p.name, Absent: c.absent.has(key, time.Now().UnixNano())}
	x.Why = c.policies.Explain(key).String()
	if p.rule == nil && c.policies == nil {
		x.Why = "the chain has no policies"
	}
	for _, t := range c.tiers {
		x.Tiers = append(x.Tiers, c.explainTier(ctx, p, t, key))
	}
	return x, nil
}

func (c *Chain) explainTier(ctx context.Context, p *plan, t *tier, key string) TierExplanation {
	x := TierExplanation{Tier: t.Name}
	if t.objects != nil {
		x.Placed = p.memory
		c.explainMemory(&x, t, key)
		return x
	}
	for _, own := range p.tiers {
		if own.tier == t {
			x.Placed, x.Mode = true, string(own.mode)
		}
	}
	if s, ok := t.queue.get(key); ok {
		x.Pending = "write"
		if s.removes(time.Now()) {
			x.Pending = "delete"
		}
		x.PendingFor, x.PendingErr, x.Durable = time.Since(time.Unix(0, s.since)), s.err, s.rec != nil
	}
	var e store.Entry
	err := t.call(ctx, nil, func(ctx context.Context) (err error) {
		e, err = t.Store.Get(ctx, key)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		x.Err = err
	default:
		x.Present, x.Expires, x.Fresh = true, e.Expires, e.FreshUntil()
		x.Size, x.Codec, x.Version, x.Tags = int64(len(e.Value)), e.Codec, e.Version, e.Tags
		x.Covered = c.covered(ctx, e.Version, e.Tags)
	}
	return x
}

func (c *Chain) explainMemory(x *TierExplanation, t *tier, key string) {
	obj, ok := t.peek(key)
	if !ok {
		return
	}
	o, ok := obj.(held)
	if !ok {
		x.Err = fmt.Errorf("strata: memory holds a foreign %T", obj)
		return
	}
	l := o.deadlines()
	x.Present = time.Now().UnixNano() < l.expires
	x.Expires, x.Fresh = clock.FromNanos(l.expires), clock.FromNanos(l.fresh)
	x.Size, x.Version, x.Tags = o.size(), o.ver(), o.labels()
	x.Codec = strings.TrimPrefix(fmt.Sprintf("%T", obj), "*chain.")
	x.Covered = !c.valid(0, x.Version, x.Tags)
}

// String returns the explanation as a table for people.
func (x Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "key   %s\nrule  %s: %s\n", x.Key, x.Rule, x.Why)
	if x.Absent {
		b.WriteString("the loader said that it does not exist; that is remembered\n")
	}
	w := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "tier\tstate\tfresh for\texpires in\tbytes\tcodec\tversion\tpending")
	now := time.Now()
	for _, t := range x.Tiers {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%d\t%s\n", t.Tier, t.condition(now), left(now, t.Present, t.Fresh),
			left(now, t.Present, t.Expires), t.Size, t.Codec, t.Version, t.waiting())
	}
	_ = w.Flush()
	return b.String()
}

func (t TierExplanation) condition(now time.Time) string {
	switch {
	case t.Err != nil:
		return "error: " + t.Err.Error()
	case t.Present && t.Covered:
		return "invalidated"
	case t.Present && !t.Fresh.IsZero() && !now.Before(t.Fresh):
		return "stale"
	case t.Present:
		return "fresh"
	case !t.Placed:
		return "not placed here"
	default:
		return "absent"
	}
}

// waiting says what the tier has yet to take.
func (t TierExplanation) waiting() string {
	if t.Pending == "" {
		return ""
	}
	s := t.Pending + " for " + t.PendingFor.Round(time.Millisecond).String()
	if t.Durable {
		s += ", in the journal"
	}
	if t.PendingErr != nil {
		s += ", failed: " + t.PendingErr.Error()
	}
	return s
}

func left(now time.Time, present bool, t time.Time) string {
	switch {
	case !present:
		return "-"
	case t.IsZero():
		return "never"
	default:
		return t.Sub(now).Round(time.Millisecond).String()
	}
}
