package marshal

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/pythontest"
)

type (
	day struct {
		Date   time.Time `json:"date"`
		Open   float64
		Close  float64
		Volume int64
		Note   *string
		Halted bool
	}
	labelled struct {
		Symbol      string `frame:",index"`
		Open, Close float64
	}
	numbered struct {
		Close float64
		At    time.Time `frame:",column"`
	}
	gappy struct {
		Date   time.Time
		Volume *int64
	}
)

func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "pandas", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// same compares rows in which NaN equals NaN.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := render(got), render(want); g != w {
		t.Errorf("%s\n got %s\nwant %s", what, g, w)
	}
}

func render(rows any) string {
	var b strings.Builder
	v := reflect.ValueOf(rows)
	for i := range v.Len() {
		for j := range v.Index(i).NumField() {
			f := v.Index(i).Field(j)
			if f.Kind() == reflect.Pointer && !f.IsNil() {
				f = f.Elem()
			}
			fmt.Fprintf(&b, "%v ", f.Interface())
		}
		b.WriteString("| ")
	}
	return b.String()
}

func days(hour int) []day {
	n1, n2 := "BTC/USDT", `é "q"`
	at := func(d int) time.Time { return time.Date(2017, 1, d, hour, 0, 0, 0, time.UTC) }
	return []day{
		{at(3), 115.8, 116.15, 28781900, &n1, false},
		{at(4), 115.85, 116, 21118100, &n2, true},
		{at(5), math.NaN(), 0.3333333333, 22193600, nil, false},
	}
}

func TestFrameReadsPandas(t *testing.T) {
	c := must(t, Frame[[]day])
	for file, want := range map[string][]day{
		"bars": days(0), "bars_iso": days(0), "bars_tz": days(5), "bars_tz_iso": days(5), "empty": {}, "no_rows": {},
	} {
		got, err := c.Decode(golden(t, file))
		if err != nil || got == nil {
			t.Errorf("%s: %v, %v", file, got, err)
			continue
		}
		same(t, file, got, want)
	}
	byName, err := must(t, Frame[[]labelled]).Decode(golden(t, "named"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "named", byName, []labelled{{"BTC/USDT", 115.8, 116.15}, {`é "q"`, 115.85, 116}})
	one := int64(1)
	gaps, err := must(t, Frame[[]gappy]).Decode(golden(t, "gap"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "gap", gaps, []gappy{{days(0)[0].Date, &one}, {days(0)[1].Date, nil}})
	times, err := must(t, Frame[[]numbered]).Decode(golden(t, "times"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "times", times, []numbered{{1, time.Date(2017, 1, 3, 9, 30, 0, 123e6, time.UTC)}, {2, time.Time{}}})
}

func TestFrameWritesLikePandas(t *testing.T) {
	unescape := strings.NewReplacer(`\/`, `/`, `\u00e9`, `é`)
	check := func(file string, b []byte, err error) {
		t.Helper()
		if want := unescape.Replace(string(golden(t, file))); err != nil || string(b) != want {
			t.Errorf("%s: %v\n got %s\nwant %s", file, err, b, want)
		}
	}
	b, err := must(t, Frame[[]day]).Append(nil, days(0))
	check("bars", b, err)
	b, err = must(t, Frame[[]day]).Append(nil, nil)
	check("no_rows", b, err)
	b, err = must(t, Frame[[]labelled]).Append(nil, []labelled{{"BTC/USDT", 115.8, 116.15}, {`é "q"`, 115.85, 116}})
	check("named", b, err)
	b, err = must(t, Frame[[]numbered]).Append(nil, []numbered{{1, time.Date(2017, 1, 3, 9, 30, 0, 123456789, time.UTC)}, {2, time.Time{}}})
	check("times", b, err)
	type close struct{ Close float64 }
	b, err = must(t, Frame[[]close]).Append(nil, []close{{1e-11}, {1e15}, {123456789.123456789}, {math.Copysign(0, -1)}, {math.Inf(1)}})
	check("extremes", b, err)
}

func TestFrameRefuses(t *testing.T) {
	c := must(t, Frame[[]day])
	refuses(t, c, "", "null", "[]", "1", "{", `{"Open":1}`, `{"Open":{"x":1}}`, `{"Open":{"1":"a"}}`, `{"Volume":{"1":1.5}}`, `{"Volume":{"1":null}}`,
		`{"Halted":{"1":1}}`, `{"Open":{"1":[]}}`, `{"Open":{"1":1}`, `{"Open":{"1":1}} x`, `{"Open":{"1":1},"Open":{"1":2}}`, `{"other":{"1":1}}`, `{"Open":[1,2]}`, `{"Open":{"1":1e999}}`)
	when := time.Unix(0, 0)
	for want, rows := range map[string][]day{"occurs twice": {{Date: when}, {Date: when}}, "zero time": {{}}} {
		if b, err := c.Append([]byte("p"), rows); err == nil || !strings.Contains(err.Error(), want) || string(b) != "p" {
			t.Errorf("Append = %q, %v; want %s", b, err, want)
		}
	}
	for want, f := range map[string]func() error{
		"not a slice of structs": func() error { _, err := Frame[day](); return err },
		"cannot hold":            func() error { _, err := Frame[[]info](); return err },
		"no columns":             func() error { _, err := Frame[[]struct{ T time.Time }](); return err },
		"a second index": func() error {
			_, err := Frame[[]struct {
				A int `frame:",index"`
				B int `frame:",index"`
			}]()
			return err
		},
		"an index is": func() error {
			_, err := Frame[[]struct {
				A float64 `frame:",index"`
			}]()
			return err
		},
		"unknown option": func() error {
			_, err := Frame[[]struct {
				A float64 `frame:",indx"`
			}]()
			return err
		},
		"a second column": func() error {
			_, err := Frame[[]struct {
				A float64 `frame:"x"`
				B float64 `frame:"x"`
			}]()
			return err
		},
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// pandas itself reads what Append writes, where it is installed.
func TestPandasReadsFrame(t *testing.T) {
	if testing.Short() {
		t.Skip("starting pandas takes seconds")
	}
	b, err := must(t, Frame[[]day]).Append(nil, days(9))
	if err != nil {
		t.Fatal(err)
	}
	const script = `
import sys, io
import pandas as pd
f = pd.read_json(io.StringIO(sys.stdin.read()))
print(f.shape, f.index[1].isoformat(), f["Close"].round(10).tolist(), f["Open"].isna().tolist(), f["Volume"].tolist(), f["Note"].tolist())
`
	want := `(3, 5) 2017-01-04T09:00:00 [116.15, 116.0, 0.3333333333] [False, False, True] [28781900, 21118100, 22193600] ['BTC/USDT', 'é "q"', None]`
	if got := pythontest.Run(t, pythontest.Interpreter(t, "pandas"), string(b), "-c", script); strings.TrimSpace(got) != want {
		t.Errorf("pandas says\n%swant\n%s", got, want)
	}
}

func FuzzFrame(f *testing.F) {
	for _, name := range []string{"bars", "bars_tz_iso", "named", "times", "empty"} {
		f.Add(golden(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = bounded(t, must(t, Frame[[]day]), data)
		_, _ = bounded(t, must(t, Frame[[]numbered]), data)
		c := must(t, Frame[[]labelled])
		v, err := bounded(t, c, data)
		if err != nil {
			return
		}
		b, err := c.Append(nil, v)
		if err != nil {
			t.Fatalf("the rows of %q do not encode: %v", data, err)
		}
		if again, err := c.Decode(b); err != nil || len(again) != len(v) {
			t.Fatalf("%q: %d rows, then %d, %v", b, len(v), len(again), err)
		}
	})
}
