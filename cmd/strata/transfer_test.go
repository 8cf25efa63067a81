package main

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/marshal"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore"
)

// filled makes a directory of entries, and returns them.
func filled(t *testing.T, dir string, entries map[string]store.Entry) {
	t.Helper()
	s, err := diskstore.Open(dir, &diskstore.Options{Partitioner: policy.MarketData()})
	if err != nil {
		t.Fatal(err)
	}
	for key, e := range entries {
		if err := s.Set(t.Context(), key, e); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// contents returns what a directory holds, without versions.
func contents(t *testing.T, dir string) map[string]store.Entry {
	t.Helper()
	s, err := diskstore.Open(dir, &diskstore.Options{Partitioner: policy.MarketData(), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	found := map[string]store.Entry{}
	for key, err := range s.Scan(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		e, err := s.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		e.Version = 0
		found[key] = e
	}
	return found
}

func sameEntries(t *testing.T, got, want map[string]store.Entry) {
	t.Helper()
	for key, w := range want {
		g, ok := got[key]
		if !ok || !bytes.Equal(g.Value, w.Value) || !g.Expires.Equal(w.Expires) || !g.FreshUntil().Equal(w.FreshUntil()) || g.Codec != w.Codec || !slices.Equal(g.Tags, w.Tags) {
			t.Errorf("%q: %+v, want %+v", key, g, w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d entries, want %d: %q", len(got), len(want), slices.Sorted(maps.Keys(got)))
	}
}

type close1 struct {
	Date  time.Time `parquet:"date"`
	Close float64   `parquet:"close"`
}

// awkward are entries of every kind that a format could lose something of.
func awkward(t *testing.T) map[string]store.Entry {
	t.Helper()
	codec, err := marshal.Parquet[[]close1]()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := codec.Append(nil, []close1{{time.Unix(1e9, 0).UTC(), 1.5}, {time.Unix(1e9+1, 0).UTC(), 2.5}})
	if err != nil {
		t.Fatal(err)
	}
	soon := time.Now().Add(time.Hour).Truncate(time.Microsecond).Add(7 * time.Microsecond)
	all := map[string]store.Entry{
		"hist:AAPL:1d:1y":         {Value: rows, Codec: "parquet", Expires: soon},
		"empty":                   {Value: []byte{}},
		"deadlines":               {Value: []byte("v"), Expires: soon, Fresh: soon.Add(-time.Minute)},
		"tags":                    {Value: []byte("v"), Tags: []string{"a,b", `"q"`, "é", "[x]"}, Codec: "json"},
		"bytes in tags":           {Value: []byte("v"), Tags: []string{"\xff", "x"}},
		"\xff\x00key":             {Value: []byte("v")},
		"key\nof\r\ntwo":          {Value: []byte("a\r\nb\nc\r")},
		"\ufeffmark":              {Value: []byte("\ufeffvalue")},
		" , \" ' ; =1+1":          {Value: []byte(`"a","b"` + "\n=cmd()")},
		"replacement \ufffd":      {Value: []byte("\ufffd")},
		`escaped \ufffd`:          {Value: []byte(`\ufffd \ud800`)},
		"separators \u2028":       {Value: []byte("\u2028\u2029<>&\x7f\x00")},
		`\.`:                      {Value: []byte(`\.`)},
		"null":                    {Value: []byte("null")},
		strings.Repeat("k", 4096): {Value: bytes.Repeat([]byte{0}, 1<<20)},
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		v := make([]byte, rng.IntN(200))
		for j := range v {
			v[j] = byte(rng.Uint32())
		}
		all[fmt.Sprintf("random:%d", i)] = store.Entry{Value: v}
	}
	return all
}

// TestExportImport: what goes through a format is what it was.
func TestExportImport(t *testing.T) {
	s := newShell(t)
	s.write("strata.yaml", "rules: [{keys: 'hist:{symbol}:{interval}:{period}', ttl: 24h}]\n")
	all := awkward(t)
	filled(t, "from", all)
	for _, target := range []string{"x.ndjson", "x.csv", "x.parquet"} {
		t.Run(target, func(t *testing.T) {
			to := "to-" + target
			if out := s.ok("disk", "export", target, "--dir", "from"); !strings.Contains(out, fmt.Sprintf("wrote %d entries to %s", len(all), target)) {
				t.Errorf("export: %q", out)
			}
			s.fails(exitFailed, "give --force", "disk", "export", target, "--dir", "from")
			s.ok("disk", "export", target, "--dir", "from", "--force", "--json")
			if got := decode[importInfo](t, s.ok("disk", "import", target, "--dir", to, "--json")); got.Entries != int64(len(all)) || got.Expired != 0 {
				t.Errorf("import: %+v", got)
			}
			sameEntries(t, contents(t, to), all)
			if _, err := os.Stat(filepath.Join(to, "tables/hist/symbol=AAPL/interval=1d/period=1y/data.parquet")); err != nil {
				t.Error(err)
			}
		})
	}
	for _, format := range []string{"ndjson", "csv"} {
		_, out, _ := s.input("", "disk", "export", "-", "--format", format, "--dir", "from")
		if code, _, errs := s.input(out, "disk", "import", "-", "--format", format, "--dir", "piped-"+format); code != exitOK {
			t.Fatal(errs)
		}
		sameEntries(t, contents(t, "piped-"+format), all)
	}
	left, _ := filepath.Glob(".*")
	if len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestExportCounts: an export has what counts, and an import is newer than the
// Clear that it makes good.
// TestExportReplacesNothingElse: --force takes away what an export may have made, and
// nothing else.
func TestExportReplacesNothingElse(t *testing.T) {
	s := newShell(t)
	filled(t, "from", map[string]store.Entry{"k": {Value: []byte("v")}})
	for _, dir := range []string{"home", "deep/part-00001.parquet"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.write("home/thesis.txt", "years of work")
	s.write("deep/part-00001.parquet/thesis.txt", "years of work")
	s.write("file.txt", "years of work")
	for target, why := range map[string]string{"home": "which no export made", "deep": "which no export made", "file.txt": "is not a directory"} {
		s.fails(exitFailed, why, "disk", "export", target, "--format", "parquet", "--dir", "from", "--force")
	}
	s.fails(exitFailed, "is not a file", "disk", "export", "home", "--format", "csv", "--dir", "from", "--force")
	s.fails(exitFailed, "which no export made", "disk", "export", ".", "--format", "parquet", "--dir", "from", "--force")
	for _, path := range []string{"home/thesis.txt", "deep/part-00001.parquet/thesis.txt", "file.txt"} {
		if b, err := os.ReadFile(path); err != nil || string(b) != "years of work" {
			t.Errorf("%s: %q, %v", path, b, err)
		}
	}
	s.ok("disk", "export", "file.txt", "--format", "csv", "--dir", "from", "--force") // that is what it says
}

func TestExportCounts(t *testing.T) {
	s := newShell(t)
	at := func(args ...string) string { t.Helper(); return s.ok(append(args, "--dir", "d")...) }
	at("set", "a:1", "one", "--tag", "t")
	at("set", "a:2", "two")
	at("set", "b:1", "three")
	at("disk", "export", "before.csv")
	ses, err := (&app{dir: "d", env: func(string) (string, bool) { return "", false }}).open(testCommand(t), true)
	if err != nil {
		t.Fatal(err)
	}
	if err := ses.InvalidateTags(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	if err := ses.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out := at("disk", "export", "-", "--format", "ndjson"); strings.Count(out, "\n") != 2 || strings.Contains(out, "a:1") {
		t.Errorf("after the invalidation: %s", out)
	}
	if out := at("disk", "export", "-", "--format", "ndjson", "--prefix", "b:"); strings.Count(out, "\n") != 1 || !strings.Contains(out, `"b:1"`) {
		t.Errorf("prefix: %s", out)
	}
	at("disk", "import", "before.csv")
	if out := at("get", "a:1"); out != "one\n" {
		t.Errorf("after the import: %q", out)
	}
}

// TestImportExpired: what has expired is left out, and said so.
func TestImportExpired(t *testing.T) {
	s := newShell(t)
	s.write("x.ndjson", "\ufeff"+`{"key":"old","value":"v","expires":"2001-01-01T00:00:00Z"}`+"\n\n"+`{"key":"new","value":"v"}`)
	if out := s.ok("disk", "import", "x.ndjson", "--dir", "d"); out != "imported 1 entries; 1 have expired and were left out\n" {
		t.Errorf("%q", out)
	}
	if out := s.ok("scan", "--dir", "d"); out != "new\n" {
		t.Errorf("%q", out)
	}
}

// TestImportForeign: files that another program wrote, with the columns that it
// has.
func TestImportForeign(t *testing.T) {
	s := newShell(t)
	s.write("x.csv", "\ufeffvalue,key\n\"1,5\",a\n,b\n")
	s.ok("disk", "import", "x.csv", "--dir", "d")
	sameEntries(t, contents(t, "d"), map[string]store.Entry{"a": {Value: []byte("1,5")}, "b": {Value: []byte{}}})
}

// TestImportHostile: whatever is wrong is said with its place, and nothing of the
// file is in the directory.
func TestImportHostile(t *testing.T) {
	s := newShell(t)
	s.write("strata.yaml", "tiers: {disk: {dir: d, max_value: 1KiB}}\n")
	good := `{"key":"good","value":"v"}` + "\n"
	long := strings.Repeat("x", 2000)
	deep := strings.Repeat("[", 1<<16)
	for _, c := range []struct{ want, name, content string }{
		{"line 2: byte 2: invalid character", "a.ndjson", good + "{x}"},
		{"line 2: the object does not end", "a.ndjson", good + `{"key":"k"`},
		{"line 2: there is no key", "a.ndjson", good + `{}`},
		{"line 2: there is no value", "a.ndjson", good + `{"key":"k"}`},
		{"line 2: there is no value", "a.ndjson", good + `{"key":"k","value":null}`},
		{`line 2: unknown field "vlaue"`, "a.ndjson", good + `{"key":"k","vlaue":"v"}`},
		{"line 2: value cannot be a number", "a.ndjson", good + `{"key":"k","value":1}`},
		{"line 2: value and value_base64 are both", "a.ndjson", good + `{"key":"k","value":"v","value_base64":""}`},
		{"line 2: key and key_base64 are both", "a.ndjson", good + `{"key":"k","key_base64":"aw==","value":""}`},
		{"line 2: illegal base64", "a.ndjson", good + `{"key":"k","value_base64":"!"}`},
		{"line 2: there is something behind", "a.ndjson", good + `{"key":"k","value":"v"} {}`},
		{"line 2: it is not UTF-8", "a.ndjson", good + "{\"key\":\"\xff\",\"value\":\"v\"}"},
		{"line 2: half of a surrogate pair", "a.ndjson", good + `{"key":"k","value":"\ud800"}`},
		{"line 2: fresh is after expires", "a.ndjson", good + `{"key":"k","value":"","expires":"2090-01-01T00:00:00Z","fresh":"2091-01-01T00:00:00Z"}`},
		{"line 2: parsing time", "a.ndjson", good + `{"key":"k","value":"","expires":"soon"}`},
		{"line 2: keys that begin with __strata:", "a.ndjson", good + `{"key":"__strata:tag:t","value":"v"}`},
		{"line 2: the value has 2.0 KiB", "a.ndjson", good + `{"key":"k","value":"` + long + `"}`},
		{"line 2: byte", "a.ndjson", good + deep},
		{"line 2: the entry is too large", "a.ndjson", good + strings.Repeat("x", 3<<20)},
		{"line 1: there is no heading", "a.csv", ""},
		{`line 1: there is no column "kye"`, "a.csv", "kye,value\n"},
		{`line 1: the column "key" is there twice`, "a.csv", "key,key,value\n"},
		{"line 3: wrong number of fields", "a.csv", "key,value\na,b\nc\n"},
		{"line 3: there is no key", "a.csv", "key,value\na,b\n,c\n"},
		{"line 4: there is no key", "a.csv", "key,value\na,\"b\nb\"\n,c\n"},
		{`line 3: extraneous or missing " in`, "a.csv", "key,value\na,b\n\"a\"b,c\n"},
		{"line 3: extraneous", "a.csv", "key,value\na,b\nc,\"" + strings.Repeat("x\n", 100)},
		{"line 3 or later: the entry is too large", "a.csv", "key,value\na,b\nc,\"" + strings.Repeat("xxxxxxxxxxxxxxx\n", 1<<18)},
		{"line 3: key is not UTF-8", "a.csv", "key,value\na,b\n\xff,b\n"},
		{`line 2: expires "soon" is not a time`, "a.csv", "key,value,expires\na,b,soon\n"},
		{`line 2: version "-1" is not`, "a.csv", "key,value,version\na,b,-1\n"},
		{`line 2: tags "a" is not a JSON list`, "a.csv", "key,value,tags\na,b,a\n"},
		{"line 2: value_base64: illegal", "a.csv", "key,value_base64\na,!\n"},
		{"a.parquet:", "a.parquet", "PAR1 nonsense PAR1"},
		{"a.parquet:", "a.parquet", ""},
	} {
		s.write(c.name, c.content)
		s.fails(exitFailed, "nothing was imported: "+c.want, "disk", "import", c.name)
	}
	if _, err := os.Stat("d"); err == nil {
		t.Error("a refused import made the directory")
	}
	s.fails(exitUsage, "does not say the format", "disk", "import", "x")
	s.fails(exitUsage, `no format "xml"`, "disk", "export", "x", "--format", "xml", "--dir", "d")
	s.fails(exitFailed, "no such file", "disk", "import", "nope.csv")
	s.fails(exitUsage, "name one", "disk", "export", "-", "--format", "parquet")
	s.fails(exitUsage, "name a file", "disk", "import", "-", "--format", "parquet")
}
