package policy

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseEveryField(t *testing.T) {
	s, err := Parse([]byte(`
classes:
  hot: {ttl: 10m, jitter: 0.1, compress: s2, tiers: [memory, redis]}
  ticks: {ttl: 250ms, serve-stale: never}
rules:
  - keys: price:{symbol}
    name: prices
    class: hot
    ttl: 90s
    tiers: [memory, redis, disk]
    tier_ttl: {memory: 5s}
    write: back
    durable: true
    jitter: 0
    stale_while_revalidate: 30s
    stale-if-error: 1d12h
    refresh_ahead: 0.8
    negative_ttl: 10s
    soft_timeout: 50ms
    hard_timeout: 2s
    lease: 5s
    codec: json
    compress: zstd
    encrypt: main
    wire: framed
    tags: [prices, "symbol:{symbol}"]
  - {keys: "tick:{symbol}", class: ticks, early: 1.5, wire: plain}
  - {keys: "info:{symbol}", class: hot, compress: none}
  - {keys: "old:{id}", class: ticks, ttl: never, serve_stale: allow, tags: one}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Rule{
		{
			Name: "prices", Keys: MustPattern("price:{symbol}"), Class: "hot", TTL: 90 * time.Second,
			Tiers: []string{"memory", "redis", "disk"}, TierTTL: map[string]time.Duration{"memory": 5 * time.Second},
			Write: WriteBack, Durable: true, StaleWhileRevalidate: 30 * time.Second, StaleIfError: 36 * time.Hour,
			RefreshAhead: 0.8, NegativeTTL: 10 * time.Second, SoftTimeout: 50 * time.Millisecond, HardTimeout: 2 * time.Second,
			Lease: 5 * time.Second, Codec: "json", Compress: "zstd", Encrypt: "main", Wire: WireFramed,
			Tags: []string{"prices", "symbol:{symbol}"}, line: 6,
		},
		{Name: "tick", Keys: MustPattern("tick:{symbol}"), Class: "ticks", TTL: 250 * time.Millisecond, NeverStale: true, Early: 1.5, Wire: WirePlain, line: 27},
		{Name: "info", Keys: MustPattern("info:{symbol}"), Class: "hot", TTL: 10 * time.Minute, Jitter: 0.1, Tiers: []string{"memory", "redis"}, Wire: WireFramed, line: 28},
		{Name: "old", Keys: MustPattern("old:{id}"), Class: "ticks", Tags: []string{"one"}, Wire: WireFramed, line: 29},
	}
	for i, r := range s.Rules() {
		if !reflect.DeepEqual(*r, want[i]) {
			t.Errorf("rule %d\n got %+v\nwant %+v", i, *r, want[i])
		}
		if r.Line() != want[i].line {
			t.Errorf("Line() = %d, want %d", r.Line(), want[i].line)
		}
	}
}

func TestParseEmpty(t *testing.T) {
	for _, doc := range []string{"", "# only a comment\n", "---\n", "rules:\n", "rules: []\nclasses: {}\n", "classes:\nrules:\n", "null\n"} {
		s, err := Parse([]byte(doc))
		if err != nil || len(s.Rules()) != 0 {
			t.Errorf("Parse(%q) = %v, %v", doc, s, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ doc, want string }{
		{"rules: [{keys: a, ttl: 1m, colour: red}]", "line 1: a: colour: unknown field"},
		{"rules: [{keys: a, ttl: 1m, jiter: 0.1}]", "line 1: a: jiter: unknown field; did you mean jitter?"},
		{"rules: [{keys: a, ttl: 1m, <<: x}]", "merge keys are not read: use a class"},
		{"rulez: []", "line 1: rulez: unknown field; known are classes, rules"},
		{"tiers: []", "line 1: tiers: unknown field"},
		{"rules:\n- keys: a\n  ttl: 5\n", `line 3: a: ttl: "5" needs a unit`},
		{"rules:\n- keys: a\n  ttl: -5m\n", `line 3: a: ttl: "-5m" is negative`},
		{"rules:\n- keys: a\n  ttl: 0s\n", "line 3: a: ttl: must be longer than 0"},
		{"rules:\n- keys: a\n  ttl: soon\n", `"soon" is not a duration`},
		{"rules:\n- keys: a\n  ttl: 1d-3h\n", `"1d-3h" is not a duration`},
		{"rules:\n- keys: a\n  ttl: xd\n", `"xd" is not a duration`},
		{"rules:\n- keys: a\n  ttl: 65535w\n", "longer than 100 years"},
		{"rules:\n- keys: a\n  ttl: 200000000h\n", `"200000000h" is not a duration`},
		{"rules:\n- keys: a\n  ttl: 2000000h\n", "longer than 100 years"},
		{"rules:\n- keys: a\n  ttl: [1m]\n", "must be a single value, not a list"},
		{"rules:\n- keys: a\n  ttl:\n", "line 3: a: ttl: has no value"},
		{"rules:\n- keys: a:*:b\n  ttl: 1m\n", `line 2: a:*:b: keys: segment 2: "*" may stand only at the end`},
		{"rules:\n- ttl: 1m\n", "line 2: keys: is missing"},
		{"rules:\n- keys: a\n", "line 2: a: ttl: is missing"},
		{"rules:\n- keys: a\n  class: lukewarm\n", `line 3: a: class: "lukewarm" is not defined; known are cold, hot, warm`},
		{"rules:\n- keys: a\n  class: hot\n  keys: b\n", "line 4: rule 1: keys: is set a second time (first at line 2)"},
		{"rules:\n- keys: a\n  class: hot\n  serve_stale: never\n  serve-stale: allow\n", "line 5: rule 1: serve-stale: is set a second time"},
		{"rules:\n- keys: a\n  class: hot\n  serve_stale: sometimes\n", `"sometimes" is none of never, allow`},
		{"rules:\n- keys: a\n  class: hot\n  durable: maybe\n", "must be true or false"},
		{"rules:\n- keys: a\n  class: hot\n  durable: true\n", "line 4: a: durable: needs write: back"},
		{"rules:\n- keys: a\n  class: hot\n  write: sideways\n", `"sideways" is none of through, back, around`},
		{"rules:\n- keys: a\n  class: hot\n  wire: plain\n  tags: [x]\n", "line 5: a: tags: cannot be stored"},
		{"rules:\n- keys: a\n  class: hot\n  wire: plain\n  compress: s2\n", "line 5: a: compress: contradicts wire: plain"},
		{"rules:\n- keys: a\n  class: hot\n  jitter: lots\n", `line 4: a: jitter: "lots" is not a number`},
		{"rules:\n- keys: a\n  class: hot\n  jitter: 0.9\n", "line 4: a: jitter: 0.9 is not between"},
		{"rules:\n- keys: a\n  class: hot\n  tier_ttl: {memory: 1h}\n", "line 4: a: tier_ttl: memory: 1h0m0s is longer than the ttl 5m0s"},
		{"rules:\n- keys: a\n  class: hot\n  tier_ttl: [memory]\n", "must be a mapping"},
		{"rules:\n- keys: a\n  class: hot\n  tier_ttl: {m: 1s, m: 2s}\n", "m is set twice"},
		{"rules:\n- keys: a\n  class: hot\n  tier_ttl: {m: x}\n", `m: "x" is not a duration`},
		{"rules:\n- keys: a\n  class: hot\n  tiers: [[x]]\n", "must be a single value, not a list"},
		{"rules:\n- keys: a\n  class: hot\n  ? [x]\n  : y\n", "a field's name must be a plain word"},
		{"rules: {keys: a}", "line 1: rules: must be a list, not a mapping"},
		{"rules: [a]", `line 1: rule 1: must be a mapping (name: value), not "a"`},
		{"classes: [hot]", "classes: must be a mapping"},
		{"classes:\n  hot: {ttl: 1m}\n  hot: {ttl: 2m}\n", "line 3: class hot: is defined a second time (first at line 2)"},
		{"classes:\n  hot: {keys: a}\n", "line 2: class hot: keys: belongs to a rule"},
		{"classes:\n  hot: {ttll: 1m}\n", "line 2: class hot: ttll: unknown field; did you mean ttl?"},
		{"classes:\n  '../x': {ttl: 1m}\n", "is not a class name"},
		{"classes:\n  own: {jitter: 7}\n", "line 2: class own: jitter: 7 is not between"},
		{"classes:\n  own: {ttl: x}\n", "line 2: class own: ttl: "},
		{"rules:\n- {keys: 'a:{x}', class: hot}\n\n- {keys: 'a:{y}', class: hot, name: b}\n", "line 4: a:{y}: keys: matches the same keys as a:{x} (line 2)"},
		{"rules:\n- {keys: 'a:{x}', class: hot}\n\n- {keys: '{y}:b', class: hot}\n", "line 4: {y}:b: keys: is ambiguous with a:{x} (line 2)"},
		{"rules:\n- keys: a\n ttl: 1m\n", "not valid YAML"},
		{"a: 1\n---\nb: 2\n", "second document"},
		{"a: 1\n---\n: : [\n", "not valid YAML"},
		{"[1, 2]", "must be a mapping"},
		{"just words", "must be a mapping"},
		{"\tx: y", "not valid YAML"},
		{strings.Repeat("#", maxYAML+1), "larger than 4 MiB"},
		{"rules: [" + strings.Repeat("{keys: a},", maxRules+1) + "]", "4097 rules are more than the limit of 4096"},
	} {
		s, err := Parse([]byte(c.doc))
		var pe *Error
		if s != nil || !errors.As(err, &pe) || !strings.Contains(err.Error(), c.want) {
			if len(c.doc) > 200 {
				c.doc = c.doc[:200]
			}
			t.Errorf("Parse(%q)\n got %v\nwant %s", c.doc, err, c.want)
		}
	}
}

// All problems come in one error, by line, and a class's fault once.
func TestParseReportsAll(t *testing.T) {
	_, err := Parse([]byte(`classes:
  hot: {jitter: 0.7}
rules:
  - {keys: a, class: hot, wire: plian}
  - {keys: b, class: hot}
  - {keys: c, class: hot, tgas: [x]}
`))
	want := `policy: 3 problems
  line 2: b: jitter: 0.7 is not between 0 and 0.5 (it is a part of the ttl)
  line 4: a: wire: "plian" is none of framed, plain
  line 6: c: tgas: unknown field; did you mean tags?`
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestParseWithin(t *testing.T) {
	doc := []byte("tiers: [memory]\nrules:\n- {keys: a, class: hot}\n")
	s, err := ParseWithin(doc, "tiers", "redis")
	if err != nil || s.Lookup("a") == nil {
		t.Errorf("ParseWithin = %v, %v", s, err)
	}
	_, err = ParseWithin([]byte("teirs: 1"), "tiers")
	if err == nil || !strings.Contains(err.Error(), "known are classes, rules, tiers") {
		t.Errorf("ParseWithin = %v", err)
	}
}

func TestAnchors(t *testing.T) {
	s, err := Parse([]byte("rules:\n- {keys: a, class: hot, tags: &t [x, y]}\n- {keys: b, class: hot, tags: *t}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Lookup("b").Tags; !reflect.DeepEqual(got, []string{"x", "y"}) {
		t.Errorf("tags = %q", got)
	}
}

func TestDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "1h30m": 90 * time.Minute, "7d": 168 * time.Hour, "1w": 168 * time.Hour, "1w1d1h": 193 * time.Hour, "1.5h": 90 * time.Minute,
	} {
		if d, err := parseDuration(s); err != nil || d != want {
			t.Errorf("parseDuration(%q) = %v, %v; want %v", s, d, err, want)
		}
	}
	for _, s := range []string{"", "1", "1.5", "-1h", "+-1h", "d", "1.5d", "1d1w", "1h1d", "1d1d", "1e9d", "d1h", "65535d9000000h"} {
		if d, err := parseDuration(s); err == nil {
			t.Errorf("parseDuration(%q) = %v", s, d)
		}
	}
}

// The files under testdata are the documentation's examples and are kept
// readable by every later version.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(data); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
	data, err := os.ReadFile("testdata/marketdata.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range MarketData().Rules() {
		got := *s.Rules()[i]
		got.line = 0
		if !reflect.DeepEqual(got, *want) {
			t.Errorf("marketdata.yaml, rule %d = %+v, want %+v", i, got, *want)
		}
	}
}

func TestMustParse(t *testing.T) {
	defer func() {
		if p, ok := recover().(error); !ok || !strings.Contains(p.Error(), "ttl") {
			t.Errorf("panic %v", p)
		}
	}()
	MustParse(`rules: [{keys: k, ttl: soon}]`)
}
