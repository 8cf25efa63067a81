package policy

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("rules: [{keys: &a x, ttl: 1d, tags: *a}]"))
	f.Add([]byte("classes: {hot: &h {ttl: 1m}, own: *h}\nrules: [*h]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse(data)
		if (s == nil) == (err == nil) {
			t.Fatalf("Parse = %v, %v", s, err)
		}
		if err != nil {
			if strings.TrimSpace(err.Error()) == "policy:" {
				t.Fatal("an empty error")
			}
			return
		}
		for _, r := range s.Rules() {
			parts := make([]string, len(r.Keys.names))
			for i := range parts {
				parts[i] = "p"
			}
			key := r.Keys.Key(parts...)
			if s.Match(key) == nil {
				t.Fatalf("the key %q of rule %s has no rule", key, r.Name)
			}
			r.AppendTags(nil, key)
			_ = s.Explain(key).String()
		}
	})
}

func FuzzParsePattern(f *testing.F) {
	f.Add("hist:{symbol}:{interval}:{period}", "hist:AAPL:1d:1y", "a:b", "")
	f.Add("log:*", "log:a%3Ab", "%", "%25")
	f.Add("a:{x}:b:{y}", "a:%:b:%00", "\x00", "é")
	f.Fuzz(func(t *testing.T, pattern, key, a, b string) {
		p, err := ParsePattern(pattern)
		if err != nil {
			return
		}
		if parts, ok := p.Parse(key); ok {
			if back := p.Key(parts...); back != key {
				t.Fatalf("Key(Parse(%q)) = %q", key, back)
			}
			if !p.Match(key) {
				t.Fatalf("Parse(%q) succeeds, Match does not", key)
			}
		}
		parts := make([]string, len(p.names))
		for i := range parts {
			parts[i] = []string{a, b}[i%2]
		}
		back, ok := p.Parse(p.Key(parts...))
		if !ok || len(back) != len(parts) || len(parts) > 0 && !reflect.DeepEqual(back, parts) {
			t.Fatalf("Parse(Key(%q)) = %q, %v", parts, back, ok)
		}
	})
}
