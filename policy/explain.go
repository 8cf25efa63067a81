package policy

import (
	"fmt"
	"strings"

	"github.com/stratacache/strata/store"
)

// Explanation says which rule a key has, and why.
type Explanation struct {
	Key   string
	Rule  *Rule        // nil where none matches
	Parts []store.Part // of the key; nil where it is not in canonical form
	// Beaten are the other rules that match the key.
	Beaten []*Rule
	// Why is one sentence for people.
	Why string
}

// String returns the explanation on one line.
func (e Explanation) String() string {
	if e.Rule == nil {
		return fmt.Sprintf("%q: no rule: %s", e.Key, e.Why)
	}
	return fmt.Sprintf("%q: rule %s: %s", e.Key, e.Rule.Name, e.Why)
}

// Explain returns which rule key has, and why. It is for people: Match is the
// fast way.
func (s *Set) Explain(key string) Explanation {
	e := Explanation{Key: key, Rule: s.Match(key)}
	if e.Rule == nil {
		e.Why = s.whyNone(key)
		return e
	}
	for _, r := range s.rules {
		if r != e.Rule && r.Keys.Match(key) {
			e.Beaten = append(e.Beaten, r)
		}
	}
	_, e.Parts, _ = s.Partition(key)
	e.Why = e.why()
	return e
}

func (e *Explanation) why() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s matches", place(e.Rule))
	for _, r := range e.Beaten {
		fmt.Fprintf(&b, "; it beats %s: %s", place(r), specific(e.Rule.Keys.segs, r.Keys.segs))
	}
	if e.Parts == nil {
		b.WriteString("; the key is not in the form that Pattern.Key builds, so it has no parts")
	}
	return b.String()
}

func place(r *Rule) string {
	if r.line == 0 {
		return r.Keys.text
	}
	return fmt.Sprintf("%s (line %d)", r.Keys.text, r.line)
}

// specific says at which segment p is the more specific of two patterns that
// match a common key.
func specific(p, q []segment) string {
	for i := range min(len(p), len(q)) {
		if p[i].kind < q[i].kind {
			return fmt.Sprintf("%s is more specific than %s", patternText(p[i:i+1]), patternText(q[i:i+1]))
		}
	}
	return "it is more specific"
}

// whyNone names the rule that came nearest to matching key.
func (s *Set) whyNone(key string) string {
	switch {
	case s == nil || len(s.rules) == 0:
		return "there are no rules"
	case key == "":
		return "the key is empty"
	}
	segs := strings.Split(key, ":")
	var near *Rule
	best := 0
	for _, r := range s.rules {
		if n := common(r.Keys.segs, segs); n > best {
			near, best = r, n
		}
	}
	if near == nil {
		return fmt.Sprintf("no pattern begins with %q", segs[0])
	}
	want := near.Keys.segs
	switch {
	case best < len(want) && best < len(segs) && segs[best] == "":
		return fmt.Sprintf("%s comes nearest, but segment %d of the key is empty", place(near), best+1)
	case best < len(want) && best < len(segs):
		return fmt.Sprintf("%s comes nearest, but segment %d is %q", place(near), best+1, segs[best])
	}
	return fmt.Sprintf("%s comes nearest, but has %d segments where the key has %d", place(near), len(want), len(segs))
}

// common counts the leading segments of a key that a pattern accepts.
func common(pattern []segment, key []string) int {
	n := 0
	for n < len(pattern) && n < len(key) {
		if key[n] == "" || pattern[n].kind == literal && pattern[n].text != key[n] {
			break
		}
		n++
	}
	return n
}
