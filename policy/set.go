package policy

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/stratacache/strata/store"
)

// The built-in classes.
const (
	Hot  = "hot"
	Warm = "warm"
	Cold = "cold"
)

// maxRules bounds the pairwise comparison of patterns, maxProblems what is told
// of its outcome.
const (
	maxRules    = 4096
	maxProblems = 100
)

// classTTL returns the TTL of a built-in class; 0 for any other.
func classTTL(class string) time.Duration {
	switch class {
	case Hot:
		return 5 * time.Minute
	case Warm:
		return 4 * time.Hour
	case Cold:
		return 24 * time.Hour
	}
	return 0
}

// Set is a compiled set of rules. It is immutable and safe for concurrent use.
// A nil *Set matches nothing.
type Set struct {
	rules  []*Rule
	byName map[string]*Rule
	root   node
}

var (
	_ store.Partitioner = (*Set)(nil)
	_ store.Wirer       = (*Set)(nil)
)

// New compiles rules, which are copied. The error is an *Error that lists
// every problem.
func New(rules ...Rule) (*Set, error) {
	b := &builder{}
	for i := range rules {
		r := rules[i].clone()
		r.line = 0
		if r.TTL == 0 {
			r.TTL = classTTL(r.Class)
		}
		if r.TTL < 0 {
			r.TTL = Never
		}
		b.add(r, nil)
	}
	return b.build()
}

// builder gathers rules and problems. The TTL of its rules is Never where they
// do not expire, and 0 where it is missing.
type builder struct {
	rules    []*Rule
	lines    []map[string]int // by rule: the line of each field that was set
	problems []Problem
}

func (b *builder) add(r *Rule, lines map[string]int) {
	b.rules = append(b.rules, r)
	b.lines = append(b.lines, lines)
}

// title names a rule in problems.
func (b *builder) title(i int) string {
	switch r := b.rules[i]; {
	case r.Keys != nil:
		return r.Keys.text
	case r.line > 0:
		return "" // the line says it
	}
	return fmt.Sprintf("rule %d", i+1)
}

func (b *builder) complain(i int, field, format string, args ...any) {
	line := b.rules[i].line
	if l := b.lines[i][field]; l > 0 {
		line = l
	}
	b.problems = append(b.problems, Problem{
		Line: line, Rule: b.title(i), Field: field, Msg: fmt.Sprintf(format, args...),
	})
}

func (b *builder) build() (*Set, error) {
	if len(b.rules) > maxRules {
		b.problems = append(b.problems, Problem{Msg: fmt.Sprintf("%d rules are more than the limit of %d", len(b.rules), maxRules)})
		return nil, b.err()
	}
	s := &Set{byName: make(map[string]*Rule, len(b.rules))}
	for i, r := range b.rules {
		b.finish(i, r)
	}
	b.names(s)
	b.overlaps(s)
	if err := b.err(); err != nil {
		return nil, err
	}
	s.rules = b.rules
	for _, r := range s.rules {
		if r.TTL < 0 {
			r.TTL = 0
		}
	}
	return s, nil
}

// finish applies the defaults of a rule and checks it.
func (b *builder) finish(i int, r *Rule) {
	if r.Keys == nil || len(r.Keys.segs) == 0 {
		r.Keys = nil
		b.complain(i, "keys", "is missing: every rule needs a pattern")
		return
	}
	if r.Wire == "" {
		r.Wire = WireFramed
	}
	if r.Name == "" {
		r.Name = defaultName(r.Keys)
		if !validName(r.Name) {
			b.complain(i, "name", "cannot be made from the pattern: give one")
			r.Name = ""
		}
	}
	r.check(func(field, format string, args ...any) { b.complain(i, field, format, args...) })
}

func defaultName(p *Pattern) string {
	if p.text == "*" {
		return "default"
	}
	var lits []string
	for _, s := range p.segs {
		if s.kind == literal {
			lits = append(lits, s.text)
		}
	}
	return strings.Join(lits, "_")
}

// names fills the index by name. Names become folders, some file systems of
// which ignore case.
func (b *builder) names(s *Set) {
	first := make(map[string]int)
	for i, r := range b.rules {
		if r.Keys == nil || r.Name == "" {
			continue
		}
		folded := strings.ToLower(r.Name)
		if j, taken := first[folded]; taken {
			b.complain(i, "name", "%q is also that of %s: give one of them another", r.Name, b.where(j))
			continue
		}
		first[folded] = i
		s.byName[r.Name] = r
	}
}

func (b *builder) where(i int) string {
	if l := b.rules[i].line; l > 0 {
		return fmt.Sprintf("%s (line %d)", b.title(i), l)
	}
	return fmt.Sprintf("%s (rule %d)", b.title(i), i+1)
}

// overlaps fills the trie, and reports rules of one shape and pairs between
// which a key could not choose.
func (b *builder) overlaps(s *Set) {
	shapes := make(map[string]int, len(b.rules))
	for i, r := range b.rules {
		if r.Keys == nil {
			continue
		}
		if s.root.insert(r) != nil {
			b.complain(i, "keys", "matches the same keys as %s, so one of them would never be used", b.where(shapes[shape(r.Keys.segs)]))
			continue
		}
		shapes[shape(r.Keys.segs)] = i
	}
	for i, r := range b.rules {
		for j := range i {
			q := b.rules[j]
			if r.Keys == nil || q.Keys == nil {
				continue
			}
			rel, common := relate(r.Keys.segs, q.Keys.segs)
			if rel != crossing || len(b.problems) >= maxProblems {
				continue
			}
			if _, decided := shapes[shape(common)]; !decided {
				b.complain(i, "keys", "is ambiguous with %s: neither is the more specific for keys like %s; add a rule for those, or change one of the two",
					b.where(j), patternText(common))
			}
		}
	}
}

// patternText writes segments back as a pattern.
func patternText(segs []segment) string {
	parts := make([]string, len(segs))
	for i, s := range segs {
		parts[i] = s.text
		if s.kind == placeholder {
			parts[i] = "{" + s.text + "}"
		}
	}
	return strings.Join(parts, ":")
}

func (b *builder) err() error {
	if len(b.problems) == 0 {
		return nil
	}
	sort.SliceStable(b.problems, func(i, j int) bool { return b.problems[i].Line < b.problems[j].Line })
	type fault struct {
		line       int
		field, msg string
	}
	seen := make(map[fault]bool)
	return &Error{Problems: slices.DeleteFunc(b.problems, func(p Problem) bool {
		f := fault{p.Line, p.Field, p.Msg} // a fault of a class comes back in each of its rules
		echo := p.Line > 0 && seen[f]
		seen[f] = true
		return echo
	})}
}

// Match returns the rule of key, or nil where none matches. It does not
// allocate. It looks at the segments only: keys that other programs built
// without escaping match too.
func (s *Set) Match(key string) *Rule {
	if s == nil {
		return nil
	}
	return s.root.find(key)
}

// Rules returns the rules in the order in which they were given.
func (s *Set) Rules() []*Rule {
	if s == nil {
		return nil
	}
	return append([]*Rule(nil), s.rules...)
}

// Lookup returns the rule with the given name, or nil.
func (s *Set) Lookup(name string) *Rule {
	if s == nil {
		return nil
	}
	return s.byName[name]
}

// Partition implements store.Partitioner: the name of key's rule, and its
// parts. ok is false where no rule matches, and for a key that is not what
// Pattern.Key would have built, so that no two keys have the same parts.
func (s *Set) Partition(key string) (table string, parts []store.Part, ok bool) {
	r := s.Match(key)
	if r == nil {
		return "", nil, false
	}
	parts = make([]store.Part, 0, len(r.Keys.names))
	ok = r.Keys.each(key, func(name, part string) {
		parts = append(parts, store.Part{Name: name, Value: part})
	})
	if !ok {
		return "", nil, false
	}
	return r.Name, parts, true
}

// Wire implements store.Wirer. Keys without a rule are framed.
func (s *Set) Wire(key string) (plain bool, grace time.Duration) {
	r := s.Match(key)
	if r == nil {
		return false, 0
	}
	return r.Plain(), r.Grace()
}
