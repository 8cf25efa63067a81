package policy

import (
	"errors"
	"fmt"
	"strings"
)

// AppendTags appends the rule's tags for key to dst. A tag whose placeholder
// cannot be had from key, because another program built it without escaping,
// takes the segment as it stands.
func (r *Rule) AppendTags(dst []string, key string) []string {
	for _, tag := range r.Tags {
		if strings.IndexByte(tag, '{') < 0 {
			dst = append(dst, tag)
			continue
		}
		dst = append(dst, r.expand(tag, key))
	}
	return dst
}

func (r *Rule) expand(tag, key string) string {
	parts, ok := r.Keys.Parse(key)
	if !ok {
		parts = r.Keys.raw(key)
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(tag, '{')
		if i < 0 {
			b.WriteString(tag)
			return b.String()
		}
		b.WriteString(tag[:i])
		name, after, _ := strings.Cut(tag[i+1:], "}")
		for j, n := range r.Keys.names {
			if n == name && j < len(parts) {
				b.WriteString(parts[j])
			}
		}
		tag = after
	}
}

// raw returns the segments of key at the placeholders, as they stand.
func (p *Pattern) raw(key string) []string {
	if !p.Match(key) {
		return nil
	}
	var parts []string
	for _, seg := range p.segs {
		cur := key
		if seg.kind != tail {
			cur, key, _ = strings.Cut(key, ":")
		}
		if seg.kind != literal {
			parts = append(parts, cur)
		}
	}
	return parts
}

// checkTag reports what is wrong with a tag of a rule with pattern p.
func checkTag(tag string, p *Pattern) error {
	if tag == "" {
		return errors.New("a tag is empty")
	}
	rest := tag
	for {
		i := strings.IndexAny(rest, "{}")
		if i < 0 {
			return nil
		}
		name, after, closed := strings.Cut(rest[i+1:], "}")
		if rest[i] == '}' || !closed {
			return fmt.Errorf("tag %q: unmatched brace", tag)
		}
		known := false
		for _, n := range p.names {
			known = known || n == name
		}
		if !known {
			return fmt.Errorf("tag %q: the pattern %s has no part {%s}", tag, p, name)
		}
		rest = after
	}
}
