package policy

import "strings"

// relation says how the key sets of two patterns lie to each other.
type relation uint8

const (
	disjoint relation = iota // no common key
	equal                    // the same keys
	narrower                 // the first's keys are a part of the second's
	wider                    // the other way round
	crossing                 // common keys, and each has keys of its own
)

// shape returns the pattern with its placeholders' names taken out: patterns
// of one shape match the same keys.
func shape(segs []segment) string {
	var b strings.Builder
	for i, s := range segs {
		if i > 0 {
			b.WriteByte(':')
		}
		if s.kind == placeholder {
			b.WriteString("{}")
		} else {
			b.WriteString(s.text)
		}
	}
	return b.String()
}

// relate compares two patterns. For crossing ones, common is the pattern of
// the keys they share.
func relate(p, q []segment) (rel relation, common []segment) {
	var pMore, qMore bool // which is the more specific somewhere
	for i := 0; i < len(p) || i < len(q); i++ {
		if i >= len(p) || i >= len(q) {
			return disjoint, nil
		}
		a, b := p[i], q[i]
		switch {
		case a.kind == literal && b.kind == literal && a.text != b.text:
			return disjoint, nil
		case a.kind < b.kind:
			pMore = true
		case a.kind > b.kind:
			qMore = true
		}
		if a.kind == tail || b.kind == tail {
			common = append(common, longer(p[i:], q[i:])...)
			break
		}
		if a.kind < b.kind {
			common = append(common, a)
		} else {
			common = append(common, b)
		}
	}
	switch {
	case pMore && qMore:
		return crossing, common
	case pMore:
		return narrower, nil
	case qMore:
		return wider, nil
	}
	return equal, nil
}

// longer returns the one of two pattern ends, of which at least one is a bare
// tail, that the other includes.
func longer(p, q []segment) []segment {
	if p[0].kind == tail {
		return q
	}
	return p
}
