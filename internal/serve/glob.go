package serve

// match reports whether s matches a pattern as Redis' stringmatchlen does: "*",
// "?", "[a-z]", "[^a]" and "\". It takes time proportional to the product of the
// lengths at worst, however many stars there are: only the last star is ever gone
// back to, for an earlier one can take nothing that a later one cannot.
func match(p, s []byte) bool {
	var star, mark = -1, 0
	pi, si := 0, 0
	for si < len(s) {
		if pi < len(p) && p[pi] == '*' {
			star, mark = pi, si
			pi++
			continue
		}
		if pi < len(p) {
			if next, ok := matchOne(p, pi, s[si]); ok {
				pi, si = next, si+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		mark++
		pi, si = star+1, mark
	}
	for pi < len(p) && p[pi] == '*' {
		pi++
	}
	return pi == len(p)
}

// matchOne matches one byte with the pattern's element at pi, and returns where
// the next element begins.
func matchOne(p []byte, pi int, c byte) (next int, ok bool) {
	switch p[pi] {
	case '?':
		return pi + 1, true
	case '[':
		return matchClass(p, pi+1, c)
	case '\\':
		if pi+1 < len(p) {
			pi++
		}
	}
	return pi + 1, p[pi] == c
}

// matchClass matches the class whose "[" is before i. One without an end goes to
// the pattern's end, as in Redis.
func matchClass(p []byte, i int, c byte) (next int, ok bool) {
	not := i < len(p) && p[i] == '^'
	if not {
		i++
	}
	for ; i < len(p) && p[i] != ']'; i++ {
		switch {
		case p[i] == '\\' && i+1 < len(p):
			i++
			ok = ok || p[i] == c
		case i+2 < len(p) && p[i+1] == '-':
			lo, hi := p[i], p[i+2]
			if lo > hi {
				lo, hi = hi, lo
			}
			i += 2
			ok = ok || lo <= c && c <= hi
		default:
			ok = ok || p[i] == c
		}
	}
	return min(i+1, len(p)), ok != not
}
