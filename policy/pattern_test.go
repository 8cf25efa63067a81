package policy

import (
	"reflect"
	"strings"
	"testing"
)

func TestParsePattern(t *testing.T) {
	for s, want := range map[string]string{
		"price:{symbol}":          "",
		"a":                       "",
		"*":                       "",
		"a:*":                     "",
		"{a}:{_b1}:c":             "",
		"":                        "is empty",
		"a::b":                    "segment 2: is empty",
		":a":                      "segment 1: is empty",
		"a:":                      "segment 2: is empty",
		"a:*:b":                   "only at the end",
		"a:b*":                    "the whole segment",
		"a:{b":                    "the whole segment",
		"a:b}":                    "the whole segment",
		"a:{}":                    "not a placeholder name",
		"a:{1x}":                  "not a placeholder name",
		"a:{x y}":                 "not a placeholder name",
		"{x}-{y}":                 "not a placeholder name",
		"a:{x}:{x}":               `a second part is called "x"`,
		"a:{rest}:*":              `a second part is called "rest"`,
		"a:50%":                   "may not hold",
		"a:\x00":                  "may not hold",
		strings.Repeat("a:", 40):  "more than 32 segments",
		strings.Repeat("a", 1000): "longer than 512 bytes",
	} {
		p, err := ParsePattern(s)
		switch {
		case want == "" && err != nil:
			t.Errorf("ParsePattern(%q): %v", s, err)
		case want == "" && p.String() != s:
			t.Errorf("String() = %q, want %q", p, s)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("ParsePattern(%q): error %v, want %q", s, err, want)
		}
	}
}

func TestKeyAndParse(t *testing.T) {
	hist := "hist:{symbol}:{interval}:{period}"
	for _, c := range []struct {
		pattern string
		parts   []string
		key     string
	}{
		{hist, []string{"AAPL", "1d", "1y"}, "hist:AAPL:1d:1y"},
		{hist, []string{"BTC/USDT", "1d", "1y"}, "hist:BTC/USDT:1d:1y"},
		{hist, []string{"a:b", "100%", "x\ny"}, "hist:a%3Ab:100%25:x%0Ay"},
		{hist, []string{"", "%", "é\x7f"}, "hist:%:%25:é%7F"},
		{"price:{symbol}", []string{"%3A"}, "price:%253A"},
		{"tickers:all", nil, "tickers:all"},
		{"log:*", []string{"a:b:%c"}, "log:a:b:%25c"},
		{"log:*", []string{":"}, "log::"},
		{"log:*", []string{""}, "log:%"},
		{"*", []string{"a:b"}, "a:b"},
	} {
		p := MustPattern(c.pattern)
		key, err := p.Build(c.parts...)
		if err != nil || key != c.key || p.Key(c.parts...) != c.key {
			t.Errorf("%s.Key(%q) = %q, %v; want %q", p, c.parts, key, err, c.key)
		}
		parts, ok := p.Parse(c.key)
		if !ok || !reflect.DeepEqual(parts, c.parts) {
			t.Errorf("%s.Parse(%q) = %q, %v; want %q", p, c.key, parts, ok, c.parts)
		}
		if !p.Match(c.key) {
			t.Errorf("%s.Match(%q) = false", p, c.key)
		}
	}
}

func TestKeyWrongNumberOfParts(t *testing.T) {
	p := MustPattern("hist:{symbol}:{interval}")
	if k := p.Key("AAPL"); k != "" {
		t.Errorf("Key with one part of two = %q, want the empty key", k)
	}
	_, err := p.Build("AAPL", "1d", "1y")
	if err == nil || !strings.Contains(err.Error(), "has 2 parts (symbol, interval), got 3") {
		t.Errorf("Build error = %v", err)
	}
}

// Only the canonical spelling has parts, or two keys could share a file.
func TestParseRefusesOtherSpellings(t *testing.T) {
	p := MustPattern("price:{symbol}")
	for _, key := range []string{
		"price:100%", "price:%4", "price:%41", "price:%3a", "price:%zz", "price:%%", "price:a\x00",
		"price:", "price", "price:a:b", "other:a", "", ":", "%:a",
	} {
		if parts, ok := p.Parse(key); ok {
			t.Errorf("Parse(%q) = %q", key, parts)
		}
	}
	for key, want := range map[string]bool{"price:100%": true, "price:a\x00": true, "price:": false, "price:a:b": false, "price": false, "": false} {
		if got := p.Match(key); got != want {
			t.Errorf("Match(%q) = %v", key, got)
		}
	}
}

func TestNames(t *testing.T) {
	got := MustPattern("a:{x}:b:{y}:*").Names()
	if want := []string{"x", "y", TailName}; !reflect.DeepEqual(got, want) {
		t.Errorf("Names() = %q, want %q", got, want)
	}
}

func TestMustPatternPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("MustPattern accepted a bad pattern")
		}
	}()
	MustPattern("a::b")
}
