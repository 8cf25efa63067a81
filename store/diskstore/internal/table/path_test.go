package table

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stratacache/strata/store"
)

func hist(symbol, interval, period string) []store.Part {
	return []store.Part{{Name: "symbol", Value: symbol}, {Name: "interval", Value: interval}, {Name: "period", Value: period}}
}

func one(value string) []store.Part { return []store.Part{{Name: "k", Value: value}} }

func TestPath(t *testing.T) {
	for _, tt := range []struct {
		table string
		parts []store.Part
		want  string
	}{
		{"hist", hist("AAPL", "1d", "1y"), "tables/hist/symbol=AAPL/interval=1d/period=1y"},
		{"hist", hist("aapl", "1D", "6mo"), "tables/hist/symbol=%61apl/interval=1%44/period=6mo"},
		{"hist", hist("BRK-B", "1wk", "max"), "tables/hist/symbol=BRK-B/interval=1wk/period=%6Dax"},
		{"hist", hist("0700.HK", "15min", "10Y"), "tables/hist/symbol=0700.HK/interval=15min/period=10%59"},
		{"t", one("BTC/USDT"), "tables/t/k=BTC%2FUSDT"},
		{"t", one(".."), "tables/t/k=%2E%2E"},
		{"t", one("."), "tables/t/k=%2E"},
		{"t", one("A.B. "), "tables/t/k=A.B.%20"},
		{"t", one("A.B."), "tables/t/k=A.B%2E"},
		{"t", one("A=B%C~"), "tables/t/k=A%3DB%25C%7E"},
		{"t", one("A\x00"), "tables/t/k=A%00"},
		{"t", one("Ä"), "tables/t/k=%C3%84"},
		{"t", one(""), "tables/t/k=~"},
		{"t", one("aAPL"), "tables/t/k=%61%41%50%4C"},
		{"t", one("AaPL"), "tables/t/k=A%61PL"},
		{"t", nil, "tables/t"},
		{"con", nil, "tables/%63on"},
		{"CON", nil, "tables/%43ON"},
		{"lpt1.x", nil, "tables/%6Cpt1.x"},
		{"com10", nil, "tables/com10"},
		{"..", nil, "tables/%2E%2E"},
		{"../x", nil, "tables/%2E.%2Fx"},
	} {
		got, err := Path(tt.table, tt.parts)
		if err != nil || got != tt.want {
			t.Errorf("Path(%q, %v) = %q, %v; want %q", tt.table, tt.parts, got, err, tt.want)
		}
		table, parts, ok := Unescape(got)
		if !ok || table != tt.table || len(parts) != len(tt.parts) {
			t.Errorf("Unescape(%q) = %q, %v, %v", got, table, parts, ok)
			continue
		}
		for i := range parts {
			if parts[i] != tt.parts[i] {
				t.Errorf("Unescape(%q) has part %v, want %v", got, parts[i], tt.parts[i])
			}
		}
	}
}

func TestPathErrors(t *testing.T) {
	if _, err := Path("", nil); err == nil {
		t.Error("a table without a name has a path")
	}
	if _, err := Path("t", make([]store.Part, maxParts+1)); err == nil {
		t.Error("a table of too many parts has a path")
	}
	for _, rel := range []string{"", "tables", "tables/", "x/y", "tables/a/b", "tables/%", "tables/%4", "tables/%zz", "tables/a/k=%41", "tables/a/k=x~y"} {
		if table, parts, ok := Unescape(rel); ok {
			t.Errorf("Unescape(%q) = %q, %v", rel, table, parts)
		}
	}
}

func TestLongAndBinaryParts(t *testing.T) {
	seen := map[string]string{}
	values := []string{
		strings.Repeat("A", 300), strings.Repeat("A", 301), strings.Repeat("A", 299) + "B",
		strings.Repeat("/", 300), strings.Repeat("ü", 100), strings.Repeat("a", 300), "\xff", "\xfe", "A\xff",
	}
	for _, v := range values {
		rel, err := Path("t", one(v))
		if err != nil {
			t.Fatal(err)
		}
		checkSafe(t, rel)
		if other, twice := seen[strings.ToLower(rel)]; twice {
			t.Errorf("%q and %q share %q", v, other, rel)
		}
		seen[strings.ToLower(rel)] = v
		if _, _, ok := Unescape(rel); ok {
			t.Errorf("%q was not shortened", v)
		}
	}
	rel, err := Path(strings.Repeat("t", 400), []store.Part{{Name: strings.Repeat("n", 400), Value: strings.Repeat("v", 400)}})
	if err != nil {
		t.Fatal(err)
	}
	checkSafe(t, rel)
}

// checkSafe fails for a path that some file system would not take as it is.
func checkSafe(t *testing.T, rel string) {
	t.Helper()
	for i, comp := range strings.Split(rel, "/") {
		stem, _, _ := strings.Cut(comp, ".")
		switch {
		case comp == "" || comp == "." || comp == "..", len(comp) > 255, strings.HasPrefix(comp, "."),
			strings.HasSuffix(comp, "."), strings.HasSuffix(comp, " "), isDevice(strings.ToUpper(stem)):
			t.Fatalf("component %q of %q", comp, rel)
		case i == 0 && comp != "tables":
			t.Fatalf("%q leaves the directory", rel)
		}
		for _, c := range []byte(comp) {
			if c < 0x21 || c > 0x7e || strings.IndexByte(`<>:"/\|?*[]{}$'`, c) >= 0 {
				t.Fatalf("byte %q in %q", c, rel)
			}
		}
	}
}

func TestCaseTwins(t *testing.T) {
	for _, word := range []string{"aapl", "1wk", "a", "1d", "x-y.z", "aa"} {
		seen := map[string]string{}
		for bits := range 1 << len(word) {
			b := []byte(word)
			for i := range b {
				if bits>>i&1 == 1 && isLetter(b[i]) {
					b[i] -= 'a' - 'A'
				}
			}
			v := string(b)
			for _, parts := range [][]store.Part{one(v), {{Name: v, Value: "X"}}, nil} {
				table := "t"
				if parts == nil {
					table = v
				}
				rel, err := Path(table, parts)
				if err != nil {
					t.Fatal(err)
				}
				fold := strings.ToLower(rel)
				if other, twice := seen[fold]; twice && other != v {
					t.Errorf("%q and %q share %q", v, other, fold)
				}
				seen[fold] = v
			}
		}
	}
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"AAPL", "aapl", "..", "CON", "nul.txt", "BTC/USDT", "A=B", "a%41", "\xff", "~", "", strings.Repeat("x", 300)} {
		f.Add("hist", s, "1d", "hist", strings.ToUpper(s), "1D")
		f.Add(s, s, s, s, s, s+"x")
	}
	f.Fuzz(func(t *testing.T, t1, a1, b1, t2, a2, b2 string) {
		parts1 := []store.Part{{Name: "a", Value: a1}, {Name: b1, Value: b1}}
		parts2 := []store.Part{{Name: "a", Value: a2}, {Name: b2, Value: b2}}
		p1, err1 := Path(t1, parts1)
		p2, err2 := Path(t2, parts2)
		if (err1 != nil) != (t1 == "") || (err2 != nil) != (t2 == "") {
			t.Fatal(err1, err2)
		}
		if err1 != nil || err2 != nil {
			return
		}
		same := t1 == t2 && a1 == a2 && b1 == b2
		if strings.EqualFold(p1, p2) != same {
			t.Fatalf("%q and %q for keys that are the same: %v", p1, p2, same)
		}
		checkSafe(t, p1)
		checkSafe(t, p2)
		table, parts, ok := Unescape(p1)
		if ok && (table != t1 || parts[0] != parts1[0] || parts[1] != parts1[1]) {
			t.Fatalf("Unescape(%q) = %q, %q", p1, table, parts)
		}
		short := len(t1) < 70 && len(a1) < 70 && len(b1) < 30
		if utf8.ValidString(t1) && utf8.ValidString(a1) && utf8.ValidString(b1) && short && !ok {
			t.Fatalf("Unescape(%q) failed", p1)
		}
		if _, err := checkRel(p1); err != nil {
			t.Fatal(err)
		}
	})
}

// TestPathsFile keeps testdata/paths.txt true: directories of the first version
// must be found by every later one, and the tests with SQL engines use the list.
func TestPathsFile(t *testing.T) {
	data, err := os.ReadFile("testdata/paths.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		quoted, want, ok := strings.Cut(strings.TrimSpace(line), "\t")
		symbol, err := strconv.Unquote(quoted)
		if !ok || err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		got, err := Path("hist", hist(symbol, "1d", "1y"))
		if err != nil || got != want {
			t.Errorf("Path of %q = %q, %v; want %q", symbol, got, err, want)
		}
	}
}
