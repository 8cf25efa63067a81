package policy

import "strings"

// emptyPart is how an empty part is written: a segment may not be empty, and a
// bare "%" is no valid escape of anything else.
const emptyPart = "%"

const hexDigits = "0123456789ABCDEF"

// mustEscape reports whether c cannot stand for itself in a part. A tail spans
// segments, so a ":" in it is itself.
func mustEscape(c byte, tail bool) bool {
	return c < 0x20 || c == 0x7f || c == '%' || c == ':' && !tail
}

// appendEscaped appends part to dst in the one form that unescape accepts.
func appendEscaped(dst []byte, part string, tail bool) []byte {
	if part == "" {
		return append(dst, emptyPart...)
	}
	for i := range len(part) {
		c := part[i]
		if mustEscape(c, tail) {
			dst = append(dst, '%', hexDigits[c>>4], hexDigits[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}

// unescape is the inverse of appendEscaped. It refuses every other spelling of
// a part, so that two keys never have the same parts. It allocates only where
// there is something to unescape.
func unescape(seg string, tail bool) (part string, ok bool) {
	if seg == emptyPart {
		return "", true
	}
	if seg == "" {
		return "", false
	}
	clean := true
	for i := range len(seg) {
		if mustEscape(seg[i], tail) {
			clean = false
			break
		}
	}
	if clean {
		return seg, true
	}
	return unescapeSlow(seg, tail)
}

func unescapeSlow(seg string, tail bool) (string, bool) {
	b := make([]byte, 0, len(seg))
	for i := 0; i < len(seg); i++ {
		if !mustEscape(seg[i], tail) {
			b = append(b, seg[i])
			continue
		}
		if seg[i] != '%' || i+2 >= len(seg) {
			return "", false
		}
		hi, lo := strings.IndexByte(hexDigits, seg[i+1]), strings.IndexByte(hexDigits, seg[i+2])
		if hi < 0 || lo < 0 {
			return "", false
		}
		c := byte(hi<<4 | lo)
		if !mustEscape(c, tail) {
			return "", false
		}
		b = append(b, c)
		i += 2
	}
	return string(b), true
}
