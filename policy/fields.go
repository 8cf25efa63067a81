package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// setter writes one field's value into a rule.
type setter func(r *Rule, n *yaml.Node) error

// setters are the fields of a rule by their YAML name.
var setters = map[string]setter{
	"keys":     setKeys,
	"name":     text(func(r *Rule) *string { return &r.Name }),
	"class":    text(func(r *Rule) *string { return &r.Class }),
	"codec":    text(func(r *Rule) *string { return &r.Codec }),
	"compress": optional(func(r *Rule) *string { return &r.Compress }),
	"encrypt":  optional(func(r *Rule) *string { return &r.Encrypt }),

	"ttl":                    setTTL,
	"stale_while_revalidate": duration(func(r *Rule) *time.Duration { return &r.StaleWhileRevalidate }),
	"stale_if_error":         duration(func(r *Rule) *time.Duration { return &r.StaleIfError }),
	"negative_ttl":           duration(func(r *Rule) *time.Duration { return &r.NegativeTTL }),
	"soft_timeout":           duration(func(r *Rule) *time.Duration { return &r.SoftTimeout }),
	"hard_timeout":           duration(func(r *Rule) *time.Duration { return &r.HardTimeout }),
	"lease":                  duration(func(r *Rule) *time.Duration { return &r.Lease }),

	"jitter":        number(func(r *Rule) *float64 { return &r.Jitter }),
	"refresh_ahead": number(func(r *Rule) *float64 { return &r.RefreshAhead }),
	"early":         number(func(r *Rule) *float64 { return &r.Early }),

	"tiers":       setTiers,
	"tier_ttl":    setTierTTL,
	"tags":        setTags,
	"durable":     setDurable,
	"serve_stale": setServeStale,
	"write":       setWrite,
	"wire":        setWire,
}

// Fields returns the names of the fields that a rule has in YAML, sorted.
func Fields() []string { return slices.Sorted(maps.Keys(setters)) }

// unknownField says what an unknown field may have been meant to be.
func unknownField(name string) string {
	if name == "<<" {
		return "merge keys are not read: use a class"
	}
	best, dist := "", min(4, len(name)/2+1)
	for known := range setters {
		d := distance(name, known)
		if d < dist || d == dist && known < best {
			best, dist = known, d
		}
	}
	if best != "" {
		return fmt.Sprintf("unknown field; did you mean %s?", best)
	}
	return "unknown field"
}

// distance is the edit distance of Levenshtein, given up where the lengths
// alone make it large.
func distance(a, b string) int {
	if len(a) > len(b)+3 || len(b) > len(a)+3 {
		return len(a) + len(b)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost++
			}
			diag = row[j+1]
			row[j+1] = min(cost, row[j]+1, diag+1)
		}
	}
	return row[len(b)]
}

func scalar(n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		if isNull(n) {
			return "", errors.New("has no value")
		}
		return "", fmt.Errorf("must be a single value, not %s", kindName(n))
	}
	return n.Value, nil
}

func text(at func(*Rule) *string) setter {
	return func(r *Rule, n *yaml.Node) error {
		s, err := scalar(n)
		if err == nil && s == "" {
			err = errors.New("has no value")
		}
		if err != nil {
			return err
		}
		*at(r) = s
		return nil
	}
}

// optional is text in which "none" undoes what the class says.
func optional(at func(*Rule) *string) setter {
	set := text(at)
	return func(r *Rule, n *yaml.Node) error {
		if err := set(r, n); err != nil {
			return err
		}
		if *at(r) == "none" {
			*at(r) = ""
		}
		return nil
	}
}

func duration(at func(*Rule) *time.Duration) setter {
	return func(r *Rule, n *yaml.Node) error {
		s, err := scalar(n)
		if err != nil {
			return err
		}
		d, err := parseDuration(s)
		if err != nil {
			return err
		}
		*at(r) = d
		return nil
	}
}

func setTTL(r *Rule, n *yaml.Node) error {
	if n.Value == "never" {
		r.TTL = Never
		return nil
	}
	var d time.Duration
	if err := duration(func(*Rule) *time.Duration { return &d })(r, n); err != nil {
		return err
	}
	if d == 0 {
		return errors.New("must be longer than 0; never says that the keys do not expire")
	}
	r.TTL = d
	return nil
}

func number(at func(*Rule) *float64) setter {
	return func(r *Rule, n *yaml.Node) error {
		s, err := scalar(n)
		if err != nil {
			return err
		}
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", s)
		}
		*at(r) = v
		return nil
	}
}

func setKeys(r *Rule, n *yaml.Node) error {
	s, err := scalar(n)
	if err != nil {
		return err
	}
	r.Keys, err = parsePattern(s)
	return err
}

// words reads a list of values, or a single one.
func words(n *yaml.Node) ([]string, error) {
	if n.Kind != yaml.SequenceNode {
		s, err := scalar(n)
		if err != nil {
			return nil, err
		}
		return []string{s}, nil
	}
	list := make([]string, 0, len(n.Content))
	for _, c := range n.Content {
		s, err := scalar(deref(c))
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

func setTiers(r *Rule, n *yaml.Node) (err error) {
	r.Tiers, err = words(n)
	return err
}

func setTags(r *Rule, n *yaml.Node) (err error) {
	r.Tags, err = words(n)
	return err
}

func setTierTTL(r *Rule, n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("must be a mapping of tiers to durations, not %s", kindName(n))
	}
	ttls := make(map[string]time.Duration, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := deref(n.Content[i]).Value
		if _, dup := ttls[name]; dup {
			return fmt.Errorf("%s is set twice", name)
		}
		s, err := scalar(deref(n.Content[i+1]))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		d, err := parseDuration(s)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		ttls[name] = d
	}
	r.TierTTL = ttls
	return nil
}

func setDurable(r *Rule, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" || n.Decode(&r.Durable) != nil {
		return fmt.Errorf("must be true or false, not %s", kindName(n))
	}
	return nil
}

func setServeStale(r *Rule, n *yaml.Node) error {
	s, err := choice(n, "never", "allow")
	r.NeverStale = s == "never"
	return err
}

func setWrite(r *Rule, n *yaml.Node) error {
	s, err := choice(n, string(WriteThrough), string(WriteBack), string(WriteAround))
	r.Write = WriteMode(s)
	return err
}

func setWire(r *Rule, n *yaml.Node) error {
	s, err := choice(n, string(WireFramed), string(WirePlain))
	r.Wire = WireForm(s)
	return err
}

func choice(n *yaml.Node, allowed ...string) (string, error) {
	s, err := scalar(n)
	if err != nil {
		return "", err
	}
	if !slices.Contains(allowed, s) {
		return "", fmt.Errorf("%q is none of %s", s, strings.Join(allowed, ", "))
	}
	return s, nil
}
