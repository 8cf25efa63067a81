package policy

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong with a set of rules.
type Problem struct {
	Line  int    // in the YAML; 0 where the rule came from Go code
	Rule  string // the rule's pattern, or "class NAME"; empty where neither applies
	Field string // empty where the whole rule is meant
	Msg   string
}

// String returns the problem on one line.
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	for _, s := range []string{p.Rule, p.Field} {
		if s != "" {
			b.WriteString(s)
			b.WriteString(": ")
		}
	}
	b.WriteString(p.Msg)
	return b.String()
}

// Error is returned where a set cannot be built. It holds all the problems
// that were found.
type Error struct {
	Problems []Problem // never empty, by line
}

// Error implements error: one line a problem.
func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return "policy: " + e.Problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "policy: %d problems", len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString("\n  ")
		b.WriteString(p.String())
	}
	return b.String()
}
