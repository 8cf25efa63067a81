package notify

import "strings"

// Pattern is a parsed pattern of topics; see the package documentation.
type Pattern struct {
	parts []string // what must be there between the stars
}

// ParsePattern parses s. Every string is a pattern.
func ParsePattern(s string) Pattern {
	var (
		parts []string
		part  strings.Builder
	)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '*':
			parts = append(parts, part.String())
			part.Reset()
		case c == '\\' && i+1 < len(s):
			i++
			part.WriteByte(s[i])
		default:
			part.WriteByte(c)
		}
	}
	return Pattern{parts: append(parts, part.String())}
}

// Literal returns the only topic that the pattern matches, if it has no star.
func (p Pattern) Literal() (topic string, ok bool) {
	if len(p.parts) != 1 {
		return "", false
	}
	return p.parts[0], true
}

// Parts returns the literal parts between the stars of the pattern. They are
// read-only.
func (p Pattern) Parts() []string { return p.parts }

// Match reports whether topic matches, in time proportional to its length for
// each part.
func (p Pattern) Match(topic string) bool {
	last := len(p.parts) - 1
	if last <= 0 {
		return last == 0 && topic == p.parts[0]
	}
	rest, ok := strings.CutPrefix(topic, p.parts[0])
	if !ok {
		return false
	}
	// The earliest place of each part leaves the most for those after it.
	for _, part := range p.parts[1:last] {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = after
	}
	return strings.HasSuffix(rest, p.parts[last])
}

// Escape returns the pattern that matches topic and nothing else.
func Escape(topic string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`).Replace(topic)
}
