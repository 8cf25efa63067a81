package policy

import "testing"

func TestRelate(t *testing.T) {
	for _, c := range []struct {
		p, q   string
		want   relation
		common string
	}{
		{"a", "a", equal, ""},
		{"a:{x}", "a:{y}", equal, ""},
		{"a:*", "a:*", equal, ""},
		{"a", "b", disjoint, ""},
		{"a:{x}", "a:{x}:{y}", disjoint, ""},
		{"a", "a:*", disjoint, ""},
		{"a:b", "a:{x}", narrower, ""},
		{"a:b", "a:*", narrower, ""},
		{"a:{x}:c", "a:*", narrower, ""},
		{"a:{x}:*", "a:*", narrower, ""},
		{"a", "*", narrower, ""},
		{"a:b", "{x}:c", disjoint, ""},
		{"a:{x}", "{x}:b", crossing, "a:b"},
		{"a:*", "{x}:b", crossing, "a:b"},
		{"a:*", "{x}:b:*", crossing, "a:b:*"},
		{"a:*", "{x}:{y}:{z}", crossing, "a:{y}:{z}"},
		{"a:{x}:*", "{x}:b:c", crossing, "a:b:c"},
	} {
		p, q := MustPattern(c.p).segs, MustPattern(c.q).segs
		rel, common := relate(p, q)
		if rel != c.want || rel == crossing && shape(common) != shape(MustPattern(c.common).segs) {
			t.Errorf("relate(%s, %s) = %d, %s; want %d, %s", c.p, c.q, rel, patternText(common), c.want, c.common)
		}
		back, _ := relate(q, p)
		want := c.want
		if want == narrower {
			want = wider
		}
		if back != want {
			t.Errorf("relate(%s, %s) = %d, want %d", c.q, c.p, back, want)
		}
	}
}
