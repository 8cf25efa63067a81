package policy

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/store"
	"pgregory.net/rapid"
)

func TestMarketData(t *testing.T) {
	s := MarketData()
	rows := []struct {
		keys, name, class string
		ttl               time.Duration
		sample            string
	}{
		{"price:{symbol}", "price", "hot", 5 * time.Minute, "price:AAPL"},
		{"price:batch:{timestamp}", "price_batch", "hot", 5 * time.Minute, "price:batch:1483315200"},
		{"signals:active", "signals_active", "hot", time.Hour, "signals:active"},
		{"session:{id}", "session", "hot", 5 * time.Minute, "session:8f2a"},
		{"info:{symbol}", "info", "warm", 4 * time.Hour, "info:MSFT"},
		{"marketcap:{symbol}", "marketcap", "warm", 24 * time.Hour, "marketcap:JPM"},
		{"tickers:{market}", "tickers", "warm", 4 * time.Hour, "tickers:NYSE"},
		{"tickers:all", "tickers_all", "warm", 4 * time.Hour, "tickers:all"},
		{"screening:{date}", "screening", "warm", 24 * time.Hour, "screening:2017-12-29"},
		{"hist:{symbol}:{interval}:{period}", "hist", "cold", 24 * time.Hour, "hist:AAPL:1wk:5y"},
		{"backtest:{id}", "backtest", "cold", 24 * time.Hour, "backtest:42"},
	}
	if got := len(s.Rules()); got != len(rows) {
		t.Fatalf("%d rules, want %d", got, len(rows))
	}
	for i, row := range rows {
		r := s.Rules()[i]
		want := Rule{Name: row.name, Keys: MustPattern(row.keys), Class: row.class, TTL: row.ttl, Wire: WireFramed}
		if !reflect.DeepEqual(*r, want) {
			t.Errorf("rule %d = %+v, want %+v", i, *r, want)
		}
		if got := s.Match(row.sample); got != r {
			t.Errorf("Match(%q) = %v, want %s", row.sample, got, row.keys)
		}
		if s.Lookup(row.name) != r {
			t.Errorf("Lookup(%q) is another rule", row.name)
		}
	}
	for _, key := range []string{"", "price", "price:", "price:AAPL:x", "hist:AAPL:1d", "unknown:AAPL", "price:batch:1:2"} {
		if r := s.Match(key); r != nil {
			t.Errorf("Match(%q) = %s, want none", key, r.Name)
		}
	}
}

func TestNilSet(t *testing.T) {
	var s *Set
	if s.Match("a") != nil || s.Lookup("a") != nil || s.Rules() != nil {
		t.Error("a nil set knows a rule")
	}
	if _, _, ok := s.Partition("a"); ok {
		t.Error("a nil set partitions")
	}
	if plain, grace := s.Wire("a"); plain || grace != 0 {
		t.Error("a nil set has a wire form")
	}
	if e := s.Explain("a"); e.Rule != nil || e.Why != "there are no rules" {
		t.Errorf("Explain = %v", e)
	}
}

// rules makes a set of patterns with some TTL.
func rules(patterns ...string) []Rule {
	rs := make([]Rule, len(patterns))
	for i, p := range patterns {
		rs[i] = Rule{Name: "r" + string(rune('a'+i)), Keys: MustPattern(p), TTL: time.Minute}
	}
	return rs
}

func TestMatchPrefersTheMoreSpecific(t *testing.T) {
	if _, err := New(rules("a:*", "a:b:*", "{x}:{y}:z", "a:{y}:z")...); err == nil {
		t.Fatal("a:b:* and {x}:{y}:z cross at a:b:z, for which there is no rule")
	}
	s, err := New(rules("*", "a:*", "a:{x}", "a:b", "a:{x}:c", "a:b:*", "a:b:c", "q:{x}:y", "q:*")...)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"zzz": "*", "a": "*", ":": "*", "a:": "*", "a:b": "a:b", "a:x": "a:{x}", "a:x:c": "a:{x}:c", "a:x:d": "a:*",
		"a::c": "a:*", "a:b:c": "a:b:c", "a:b:d": "a:b:*", "a:b:d:e": "a:b:*", "a:b:": "a:*", "q:1:y": "q:{x}:y", "q:1:z": "q:*",
	} {
		if r := s.Match(key); r == nil || r.Keys.String() != want {
			t.Errorf("Match(%q) = %v, want %s", key, r, want)
		}
	}
}

// The trie must agree with the definition: of the patterns that match a key,
// the one that is narrower than all the others.
func TestMatchModel(t *testing.T) {
	segment := rapid.SampledFrom([]string{"a", "b", "{p}", "{p}"})
	rapid.Check(t, func(t *rapid.T) {
		seen := map[string]bool{}
		var rs []Rule
		for range rapid.IntRange(1, 8).Draw(t, "rules") {
			segs := rapid.SliceOfN(segment, 0, 3).Draw(t, "segments")
			for i, s := range segs {
				if s == "{p}" {
					segs[i] = "{p" + string(rune('0'+i)) + "}"
				}
			}
			if len(segs) == 0 || rapid.Bool().Draw(t, "tail") {
				segs = append(segs, "*")
			}
			p := MustPattern(strings.Join(segs, ":"))
			if !seen[shape(p.segs)] {
				seen[shape(p.segs)] = true
				rs = append(rs, Rule{Name: "r" + string(rune('a'+len(rs))), Keys: p, TTL: time.Minute})
			}
		}
		s, err := New(rs...)
		if err != nil {
			return // ambiguous: TestAmbiguous says when that is right
		}
		key := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", ""}), 0, 4).Draw(t, "key"), ":")
		var want *Rule
		for _, r := range s.Rules() {
			if !r.Keys.Match(key) {
				continue
			}
			if want == nil {
				want = r
			} else if rel, _ := relate(r.Keys.segs, want.Keys.segs); rel == narrower {
				want = r
			}
		}
		if got := s.Match(key); got != want {
			t.Fatalf("Match(%q) = %v, want %v", key, got, want)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	p := MustPattern("a:{x}")
	for want, r := range map[string]Rule{
		"keys: is missing": {TTL: time.Minute},
		"ttl: is missing":  {Keys: p},
		"ttl: is missing: give the rule a ttl or a class": {Keys: p, Class: "own"},
		"ttl: 1µs is shorter than a millisecond":          {Keys: p, TTL: time.Microsecond},
		"ttl: 2562047h47m16.854775807s is longer":         {Keys: p, TTL: math.MaxInt64},
		`name: "a/b" is not a name`:                       {Keys: p, TTL: time.Minute, Name: "a/b"},
		`name: "../x" is not a name`:                      {Keys: p, TTL: time.Minute, Name: "../x"},
		"name: cannot be made from the pattern":           {Keys: MustPattern("{a}:{b}"), TTL: time.Minute},
		`codec: "a b" is not a name`:                      {Keys: p, TTL: time.Minute, Codec: "a b"},
		"jitter: 0.6 is not between 0 and 0.5":            {Keys: p, TTL: time.Minute, Jitter: 0.6},
		"jitter: NaN is not between":                      {Keys: p, TTL: time.Minute, Jitter: math.NaN()},
		"jitter: has no effect with ttl never":            {Keys: p, TTL: Never, Jitter: 0.1},
		"refresh_ahead: 1 is not between 0 and 1":         {Keys: p, TTL: time.Minute, RefreshAhead: 1},
		"early: -1 is not between":                        {Keys: p, TTL: time.Minute, Early: -1},
		"early: and refresh_ahead are two ways":           {Keys: p, TTL: time.Minute, Early: 1, RefreshAhead: 0.5},
		"serve_stale: never contradicts stale_if_error":   {Keys: p, TTL: time.Minute, NeverStale: true, StaleIfError: time.Minute},
		"stale_while_revalidate: -1s is negative":         {Keys: p, TTL: time.Minute, StaleWhileRevalidate: -time.Second},
		"stale_if_error: has no effect":                   {Keys: p, TTL: Never, StaleIfError: time.Minute},
		"soft_timeout: needs stale_while_revalidate":      {Keys: p, TTL: time.Minute, SoftTimeout: time.Second},
		"soft_timeout: 2s is not shorter than":            {Keys: p, TTL: time.Minute, StaleIfError: time.Minute, SoftTimeout: 2 * time.Second, HardTimeout: time.Second},
		`write: "later" is none of`:                       {Keys: p, TTL: time.Minute, Write: "later"},
		"durable: needs write: back":                      {Keys: p, TTL: time.Minute, Durable: true},
		`wire: "raw" is neither`:                          {Keys: p, TTL: time.Minute, Wire: "raw"},
		"tags: cannot be stored":                          {Keys: p, TTL: time.Minute, Wire: WirePlain, Tags: []string{"t"}},
		"compress: contradicts wire: plain":               {Keys: p, TTL: time.Minute, Wire: WirePlain, Compress: "zstd"},
		"encrypt: contradicts wire: plain":                {Keys: p, TTL: time.Minute, Wire: WirePlain, Encrypt: "main"},
		`compress: "gzip" is none of`:                     {Keys: p, TTL: time.Minute, Compress: "gzip"},
		"tiers: is empty":                                 {Keys: p, TTL: time.Minute, Tiers: []string{}},
		`tiers: "memory" is named twice`:                  {Keys: p, TTL: time.Minute, Tiers: []string{"memory", "memory"}},
		`tier_ttl: "disk" is not among`:                   {Keys: p, TTL: time.Minute, Tiers: []string{"memory"}, TierTTL: map[string]time.Duration{"disk": time.Second}},
		"tier_ttl: memory: 1h0m0s is longer than the ttl": {Keys: p, TTL: time.Minute, TierTTL: map[string]time.Duration{"memory": time.Hour}},
		"tier_ttl: memory: 0s is shorter":                 {Keys: p, TTL: time.Minute, TierTTL: map[string]time.Duration{"memory": 0}},
		"tags: a tag is empty":                            {Keys: p, TTL: time.Minute, Tags: []string{""}},
		"has no part {y}":                                 {Keys: p, TTL: time.Minute, Tags: []string{"t:{y}"}},
		"unmatched brace":                                 {Keys: p, TTL: time.Minute, Tags: []string{"t:{x"}},
	} {
		s, err := New(r)
		var pe *Error
		if s != nil || !errors.As(err, &pe) || !strings.Contains(err.Error(), want) {
			t.Errorf("New(%+v) = %v; want %q", r, err, want)
		}
	}
}

func TestPairsRefused(t *testing.T) {
	for _, c := range []struct {
		patterns []string
		want     string
	}{
		{[]string{"a:{x}", "a:{y}"}, "a:{y}: keys: matches the same keys as a:{x} (rule 1)"},
		{[]string{"*", "*"}, "matches the same keys"},
		{[]string{"a:{x}", "{y}:b"}, "{y}:b: keys: is ambiguous with a:{x} (rule 1): neither is the more specific for keys like a:b"},
		{[]string{"a:*", "{x}:{y}"}, "keys like a:{y}"},
		{[]string{"a:{x}", "{y}:b", "a:b"}, ""},
		{[]string{"a:{x}", "a:b", "a:*", "*"}, ""},
	} {
		_, err := New(rules(c.patterns...)...)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("New(%q) = %v, want %q", c.patterns, err, c.want)
		}
	}
	_, err := New(Rule{Keys: MustPattern("a:{x}"), TTL: 1e9}, Rule{Keys: MustPattern("a:{x}:{y}"), TTL: 1e9})
	if err == nil || !strings.Contains(err.Error(), `name: "a" is also that of a:{x} (rule 1)`) {
		t.Errorf("two rules of one name: %v", err)
	}
	_, err = New(Rule{Keys: MustPattern("Price:{x}"), TTL: 1e9}, Rule{Keys: MustPattern("price:{x}"), TTL: 1e9})
	if err == nil || !strings.Contains(err.Error(), "is also that of") {
		t.Errorf("two rules whose folders are one on a file system without case: %v", err)
	}
}

func TestTTLOfClass(t *testing.T) {
	s, err := New(
		Rule{Keys: MustPattern("a"), Class: Warm},
		Rule{Keys: MustPattern("b"), Class: Warm, TTL: Never},
		Rule{Keys: MustPattern("c"), Class: "own", TTL: time.Second},
		Rule{Keys: MustPattern("*"), Class: Cold},
	)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]time.Duration{"a": 4 * time.Hour, "b": 0, "c": time.Second, "default": 24 * time.Hour} {
		if r := s.Lookup(name); r == nil || r.TTL != want {
			t.Errorf("rule %q = %+v, want ttl %v", name, r, want)
		}
	}
}

// A set is immutable: what the caller does to the rules it gave, or to the
// list it got, changes nothing.
func TestSetIsImmutable(t *testing.T) {
	r := Rule{Keys: MustPattern("a:{x}"), TTL: time.Minute, Tiers: []string{"memory"},
		TierTTL: map[string]time.Duration{"memory": time.Second}, Tags: []string{"t"}}
	s, err := New(r)
	if err != nil {
		t.Fatal(err)
	}
	r.Tiers[0], r.Tags[0], r.TierTTL["memory"] = "x", "x", 0
	s.Rules()[0] = nil
	got := s.Match("a:1")
	if got.Tiers[0] != "memory" || got.Tags[0] != "t" || got.TierTTL["memory"] != time.Second || s.Rules()[0] == nil {
		t.Errorf("the set changed: %+v", got)
	}
}

func TestRuleHelpers(t *testing.T) {
	r := &Rule{TTL: time.Hour, Tiers: []string{"memory", "disk"}, TierTTL: map[string]time.Duration{"memory": time.Minute},
		StaleIfError: 2 * time.Minute, StaleWhileRevalidate: time.Minute}
	if r.Grace() != 2*time.Minute {
		t.Errorf("Grace = %v", r.Grace())
	}
	for tier, want := range map[string]time.Duration{"memory": time.Minute, "disk": time.Hour} {
		if d, ok := r.TierLimit(tier); !ok || d != want {
			t.Errorf("TierLimit(%s) = %v, %v", tier, d, ok)
		}
	}
	if _, ok := r.TierLimit("redis"); ok || r.Uses("redis") {
		t.Error("the rule does not use redis")
	}
	if all := (&Rule{}); !all.Uses("redis") {
		t.Error("no tiers means all of them")
	}
	never := &Rule{NeverStale: true, StaleIfError: time.Minute}
	if never.Grace() != 0 {
		t.Error("never stale, but a grace")
	}
}

func TestPartitionAndWire(t *testing.T) {
	s, err := New(
		Rule{Keys: MustPattern("hist:{symbol}:{interval}"), TTL: time.Hour},
		Rule{Keys: MustPattern("price:{symbol}"), TTL: time.Minute, Wire: WirePlain, StaleIfError: time.Minute},
		Rule{Keys: MustPattern("log:*"), TTL: time.Minute},
	)
	if err != nil {
		t.Fatal(err)
	}
	table, parts, ok := s.Partition("hist:a%3Ab:1d")
	if want := []store.Part{{Name: "symbol", Value: "a:b"}, {Name: "interval", Value: "1d"}}; !ok || table != "hist" || !reflect.DeepEqual(parts, want) {
		t.Errorf("Partition = %q, %v, %v", table, parts, ok)
	}
	table, parts, ok = s.Partition("log:a:b")
	if want := []store.Part{{Name: TailName, Value: "a:b"}}; !ok || table != "log" || !reflect.DeepEqual(parts, want) {
		t.Errorf("Partition = %q, %v, %v", table, parts, ok)
	}
	for _, key := range []string{"hist:100%:1d", "nothing", ""} {
		if _, _, ok := s.Partition(key); ok {
			t.Errorf("Partition(%q) succeeded", key)
		}
	}
	if plain, grace := s.Wire("price:A"); !plain || grace != time.Minute {
		t.Errorf("Wire(price:A) = %v, %v", plain, grace)
	}
	if plain, grace := s.Wire("hist:A:1d"); plain || grace != 0 {
		t.Errorf("Wire(hist) = %v, %v", plain, grace)
	}
}

func TestAppendTags(t *testing.T) {
	s, err := New(Rule{Keys: MustPattern("hist:{symbol}:{interval}"), TTL: time.Hour,
		Tags: []string{"hist", "symbol:{symbol}", "{interval}/{symbol}"}})
	if err != nil {
		t.Fatal(err)
	}
	r := s.Lookup("hist")
	for key, want := range map[string][]string{
		"hist:AAPL:1d": {"x", "hist", "symbol:AAPL", "1d/AAPL"},
		"hist:a%3Ab:%": {"x", "hist", "symbol:a:b", "/a:b"},
		"hist:100%:1d": {"x", "hist", "symbol:100%", "1d/100%"}, // foreign: as it stands
		"other":        {"x", "hist", "symbol:", "/"},
	} {
		if got := r.AppendTags([]string{"x"}, key); !reflect.DeepEqual(got, want) {
			t.Errorf("AppendTags(%q) = %q, want %q", key, got, want)
		}
	}
}

func TestExplain(t *testing.T) {
	s, err := Parse([]byte("rules:\n- {keys: 'tickers:{market}', class: warm}\n- {keys: 'tickers:all', class: warm}\n- {keys: 'hist:{s}:{i}', class: cold}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"tickers:all":  `"tickers:all": rule tickers_all: tickers:all (line 3) matches; it beats tickers:{market} (line 2): all is more specific than {market}`,
		"tickers:NYSE": `"tickers:NYSE": rule tickers: tickers:{market} (line 2) matches`,
		"tickers:50%":  `"tickers:50%": rule tickers: tickers:{market} (line 2) matches; the key is not in the form that Pattern.Key builds, so it has no parts`,
		"hist:AAPL":    `"hist:AAPL": no rule: hist:{s}:{i} (line 4) comes nearest, but has 3 segments where the key has 2`,
		"hist::1d":     `"hist::1d": no rule: hist:{s}:{i} (line 4) comes nearest, but segment 2 of the key is empty`,
		"nope":         `"nope": no rule: no pattern begins with "nope"`,
		"":             `"": no rule: the key is empty`,
	} {
		if got := s.Explain(key).String(); got != want {
			t.Errorf("Explain(%q)\n got %s\nwant %s", key, got, want)
		}
	}
	if e := s.Explain("tickers:all"); len(e.Beaten) != 1 || e.Beaten[0].Name != "tickers" || e.Parts == nil {
		t.Errorf("Explain = %+v", e)
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	s := MarketData()
	if n := testing.AllocsPerRun(100, func() {
		s.Match("hist:AAPL:1d:1y")
		s.Match("price:batch:12")
		s.Match("none")
		s.Wire("price:AAPL")
	}); n != 0 {
		t.Errorf("Match allocates %v times", n)
	}
}
