package policy

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of a pattern: far above any real one, they bound what a hostile file
// can make a set cost.
const (
	maxSegments   = 32
	maxPatternLen = 512
)

// TailName is the name of the part that a "*" stands for.
const TailName = "rest"

type segKind uint8

const (
	literal segKind = iota
	placeholder
	tail
)

// segment is one part of a pattern. text is the literal, or the placeholder's
// name.
type segment struct {
	kind segKind
	text string
}

// Pattern is a compiled key pattern. It is immutable and safe for concurrent
// use.
type Pattern struct {
	text  string
	segs  []segment
	names []string
}

// MustPattern is like ParsePattern but panics where s is not a pattern. It is
// for patterns that are written in the program.
func MustPattern(s string) *Pattern {
	p, err := ParsePattern(s)
	if err != nil {
		panic(err)
	}
	return p
}

// ParsePattern compiles s; see the package documentation for the form.
func ParsePattern(s string) (*Pattern, error) {
	p, err := parsePattern(s)
	if err != nil {
		if len(s) > 80 {
			s = s[:77] + "..."
		}
		return nil, fmt.Errorf("policy: pattern %q: %w", s, err)
	}
	return p, nil
}

func parsePattern(s string) (*Pattern, error) {
	if s == "" {
		return nil, errors.New("is empty")
	}
	if len(s) > maxPatternLen {
		return nil, fmt.Errorf("is longer than %d bytes", maxPatternLen)
	}
	parts := strings.Split(s, ":")
	if len(parts) > maxSegments {
		return nil, fmt.Errorf("has more than %d segments", maxSegments)
	}
	p := &Pattern{text: s}
	for i, part := range parts {
		seg, err := parseSegment(part, i == len(parts)-1)
		if err != nil {
			return nil, fmt.Errorf("segment %d: %w", i+1, err)
		}
		if err := p.add(seg); err != nil {
			return nil, fmt.Errorf("segment %d: %w", i+1, err)
		}
	}
	return p, nil
}

func (p *Pattern) add(seg segment) error {
	p.segs = append(p.segs, seg)
	if seg.kind == literal {
		return nil
	}
	name := seg.text
	if seg.kind == tail {
		name = TailName
	}
	for _, n := range p.names {
		if n == name {
			return fmt.Errorf("a second part is called %q", name)
		}
	}
	p.names = append(p.names, name)
	return nil
}

func parseSegment(s string, last bool) (segment, error) {
	switch {
	case s == "":
		return segment{}, errors.New("is empty")
	case s == "*" && !last:
		return segment{}, errors.New(`"*" may stand only at the end`)
	case s == "*":
		return segment{kind: tail, text: s}, nil
	case s[0] == '{' && s[len(s)-1] == '}':
		name := s[1 : len(s)-1]
		if !validPlaceholder(name) {
			return segment{}, fmt.Errorf("%q is not a placeholder name (letters, digits and _, not beginning with a digit)", name)
		}
		return segment{kind: placeholder, text: name}, nil
	case strings.ContainsAny(s, "{}*"):
		return segment{}, fmt.Errorf(`%q: a placeholder or "*" must be the whole segment`, s)
	}
	for i := range len(s) {
		if mustEscape(s[i], false) {
			return segment{}, fmt.Errorf("%q: a literal may not hold %q", s, s[i])
		}
	}
	return segment{kind: literal, text: s}, nil
}

func validPlaceholder(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// String returns the text the pattern was made from.
func (p *Pattern) String() string { return p.text }

// Names returns the names of the parts in order; a "*" is called TailName.
func (p *Pattern) Names() []string { return append([]string(nil), p.names...) }

// Key builds the key with the given parts, one for each placeholder, in order,
// escaping what needs it. With a wrong number of parts it returns "", which
// every store refuses as invalid; Build says what is wrong.
func (p *Pattern) Key(parts ...string) string {
	k, err := p.Build(parts...)
	if err != nil {
		return ""
	}
	return k
}

// Build is Key with an error for a wrong number of parts.
func (p *Pattern) Build(parts ...string) (string, error) {
	if len(parts) != len(p.names) {
		return "", fmt.Errorf("policy: pattern %q has %d parts (%s), got %d",
			p.text, len(p.names), strings.Join(p.names, ", "), len(parts))
	}
	n := len(p.text)
	for _, part := range parts {
		n += len(part)
	}
	b := make([]byte, 0, n)
	for i, seg := range p.segs {
		if i > 0 {
			b = append(b, ':')
		}
		if seg.kind == literal {
			b = append(b, seg.text...)
			continue
		}
		b = appendEscaped(b, parts[0], seg.kind == tail)
		parts = parts[1:]
	}
	return string(b), nil
}

// Parse returns the parts of key, unescaped, in order. ok is false where key
// does not match or is not what Key would have built.
func (p *Pattern) Parse(key string) (parts []string, ok bool) {
	if len(p.names) > 0 {
		parts = make([]string, 0, len(p.names))
	}
	ok = p.each(key, func(_ string, part string) { parts = append(parts, part) })
	if !ok {
		return nil, false
	}
	return parts, true
}

// each calls f with the name and value of every part of key until one cannot
// be had.
func (p *Pattern) each(key string, f func(name, part string)) bool {
	named := 0
	for i, seg := range p.segs {
		cur := key
		if seg.kind != tail {
			var more bool
			cur, key, more = strings.Cut(key, ":")
			if more == (i == len(p.segs)-1) {
				return false
			}
		}
		if seg.kind == literal {
			if cur != seg.text {
				return false
			}
			continue
		}
		part, ok := unescape(cur, seg.kind == tail)
		if !ok {
			return false
		}
		f(p.names[named], part)
		named++
	}
	return true
}

// Match reports whether key has the pattern's shape. Unlike Parse it does not
// look into the parts, so it also accepts keys that other programs built
// without escaping.
func (p *Pattern) Match(key string) bool {
	for i, seg := range p.segs {
		if seg.kind == tail {
			return key != ""
		}
		cur, rest, more := strings.Cut(key, ":")
		if cur == "" || more == (i == len(p.segs)-1) {
			return false
		}
		if seg.kind == literal && cur != seg.text {
			return false
		}
		key = rest
	}
	return true
}
