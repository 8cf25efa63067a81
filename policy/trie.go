package policy

import "strings"

// node is a point in the trie over the segments of the patterns. Each node is
// reached by one path only, so that a search visits a node at most once.
type node struct {
	lits  map[string]*node
	param *node
	rule  *Rule // of the pattern that ends here
	tail  *Rule // of the pattern that ends here with "*"
}

// insert adds r and returns the rule that is already at its place, if any.
func (n *node) insert(r *Rule) (taken *Rule) {
	for _, seg := range r.Keys.segs {
		switch seg.kind {
		case tail:
			if n.tail == nil {
				n.tail = r
				return nil
			}
			return n.tail
		case placeholder:
			if n.param == nil {
				n.param = &node{}
			}
			n = n.param
		default:
			if n.lits == nil {
				n.lits = make(map[string]*node)
			}
			c := n.lits[seg.text]
			if c == nil {
				c = &node{}
				n.lits[seg.text] = c
			}
			n = c
		}
	}
	if n.rule == nil {
		n.rule = r
		return nil
	}
	return n.rule
}

// find returns the most specific rule for what is left of a key: literals
// first, then the placeholder, then "*".
func (n *node) find(rest string) *Rule {
	seg, more := rest, false
	i := strings.IndexByte(rest, ':')
	if i >= 0 {
		seg, more = rest[:i], true
	}
	if seg != "" {
		if c := n.lits[seg]; c != nil {
			if r := c.end(rest, i, more); r != nil {
				return r
			}
		}
		if n.param != nil {
			if r := n.param.end(rest, i, more); r != nil {
				return r
			}
		}
	}
	if rest == "" {
		return nil
	}
	return n.tail
}

// end returns the rule of n where the key ends here, or goes on searching
// behind the separator at i.
func (n *node) end(rest string, i int, more bool) *Rule {
	if !more {
		return n.rule
	}
	return n.find(rest[i+1:])
}
