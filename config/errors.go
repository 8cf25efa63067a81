package config

import (
	"fmt"
	"strings"

	"github.com/stratacache/strata/policy"
)

// Error is returned where a configuration cannot be used. It holds all the
// problems that were found.
type Error struct {
	Path     string           // of the file; empty without one
	Problems []policy.Problem // never empty; Line is 0 for those of the environment
}

// Error implements error: one line a problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = e.locate(p)
	}
	if len(lines) == 1 {
		return "config: " + lines[0]
	}
	return fmt.Sprintf("config: %d problems\n  %s", len(lines), strings.Join(lines, "\n  "))
}

// Lines returns the problems, one on a line, for tools.
func (e *Error) Lines() []string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = e.locate(p)
	}
	return lines
}

func (e *Error) locate(p policy.Problem) string {
	if p.Line > 0 && e.Path != "" {
		return e.Path + ": " + p.String()
	}
	return p.String()
}
