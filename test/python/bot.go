package python

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/pythontest"
	"github.com/stratacache/strata/store"
)

// Rules are the rules that the chain given to Bot must have: the keys of a
// market-data service, stored as redis-py and pandas expect them.
const Rules = `
rules:
  - {keys: "price:{symbol}", ttl: 5m, wire: plain}
  - {keys: "price:batch:{timestamp}", ttl: 5m, wire: plain, codec: json}
  - {keys: "info:{symbol}", ttl: 4h, wire: plain, codec: json}
  - {keys: "tickers:{market}", ttl: 4h, wire: plain, codec: json}
  - {keys: "hist:{symbol}:{interval}:{period}", ttl: 24h, wire: plain, codec: frame}
`

//go:embed testdata/bot.py
var script string

// Bar is a row of the bot's price history. A float column holds gaps as NaN.
type Bar struct {
	Date                   time.Time
	Open, High, Low, Close float64
	Volume                 int64
}

func bars(hour, days int) []Bar {
	rows := make([]Bar, days)
	for i := range rows {
		f := float64(i)
		rows[i] = Bar{time.Date(2017, 1, 3+i, hour, 30, 0, 0, time.UTC), 115.8 + f, 116.25 + f, 115.5 + f, 1./3 + f, 28781900 + int64(i)}
	}
	return rows
}

func gap(rows []Bar) []Bar {
	nan := math.NaN()
	rows[1].Open, rows[1].High, rows[1].Low, rows[1].Close = nan, nan, nan, nan
	return rows
}

// peer is the Go side of a test, and how it calls Python.
type peer struct {
	testing.TB
	python, script, addr string
	prices               *chain.Cache[float64]
	hist                 *chain.Cache[[]Bar]
	info                 *chain.Cache[map[string]any]
	batch                *chain.Cache[map[string]float64]
	tickers              *chain.Cache[[]string]
}

// Bot tests that Python at addr, a host:port without a password, and Go by way of
// c share their data. c has Rules, and keeps nothing in memory, so that what is
// read is what went over the wire. The server holds nothing yet.
func Bot(t *testing.T, addr string, c *chain.Chain) {
	p := &peer{
		TB: t, python: pythontest.Interpreter(t, "redis", "pandas"), addr: addr,
		script: filepath.Join(t.TempDir(), "bot.py"),
		prices: chain.NewCache[float64](c, nil), hist: chain.NewCache[[]Bar](c, nil), info: chain.NewCache[map[string]any](c, nil),
		batch: chain.NewCache[map[string]float64](c, nil), tickers: chain.NewCache[[]string](c, nil),
	}
	p.ok(os.WriteFile(p.script, []byte(script), 0o666))
	run := func(name string, f func(*peer)) {
		t.Run(name, func(t *testing.T) {
			q := *p
			q.TB = t
			f(&q)
		})
	}
	run("Python writes, Go reads", (*peer).fromPython)
	run("Go writes, Python reads", (*peer).toPython)
	run("together", (*peer).together)
}

func (p *peer) bot(command string) string {
	p.Helper()
	return pythontest.Run(p, p.python, "", p.script, p.addr, command)
}

func (p *peer) ok(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// is checks the value of a key.
func is[V any](p *peer, c *chain.Cache[V], key string, want V) {
	p.Helper()
	got, err := c.Get(p.Context(), key)
	if err != nil || !same(got, want) {
		p.Errorf("%s = %v, %v; want %v", key, got, err, want)
	}
}

// same is reflect.DeepEqual where NaN equals NaN, and floats may differ beyond
// the ten decimals that pandas writes.
func same(a, b any) bool {
	switch a := a.(type) {
	case float64:
		b := b.(float64)
		return a == b && math.Signbit(a) == math.Signbit(b) || math.IsNaN(a) && math.IsNaN(b)
	case []Bar:
		b := b.([]Bar)
		if len(a) != len(b) || a == nil {
			return false
		}
		for i, x := range a {
			y := b[i]
			if !x.Date.Equal(y.Date) || x.Volume != y.Volume || !near(x.Open, y.Open) || !near(x.High, y.High) || !near(x.Low, y.Low) || !near(x.Close, y.Close) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}

func near(a, b float64) bool {
	return math.Abs(a-b) <= 1e-10 || math.IsNaN(a) && math.IsNaN(b)
}

// prices are the script's PRICES.
var prices = map[string]float64{
	"AAPL": 123.45, "BTC/USDT": 6.1e-07, "BRK.B": 5, "ÖMV🚀": 1e22, "HALTED": math.NaN(),
	"INF": math.Inf(1), "NEG": math.Inf(-1), "SUM": 0.30000000000000004, "ZERO": math.Copysign(0, -1), "NUMPY": 123.456,
}

func (p *peer) fromPython() {
	p.bot("write")
	for symbol, want := range prices {
		is(p, p.prices, "price:"+symbol, want)
	}
	is(p, p.batch, "price:batch:1483401600", map[string]float64{"AAPL": 116.15, "BTC/USDT": 998.5, "é": 1})
	is(p, p.info, "info:AAPL", map[string]any{"marketCap": 2.5e12, "sector": "Technologie é 🚀", "pe": nil, "tags": []any{"a", `q"`}})
	is(p, p.tickers, "tickers:all", []string{"AAPL", "BTC/USDT", "ÖMV🚀"})
	// json.dumps writes a bare NaN, which is no JSON: a miss that is loaded anew.
	if v, err := p.info.Get(p.Context(), "info:NAN"); err == nil {
		p.Errorf("info:NAN = %v, want an error", v)
	}
	is(p, p.hist, "hist:PLAIN:1d:1y", bars(9, 3))
	is(p, p.hist, "hist:GAP:1d:1y", gap(bars(9, 3)))
	is(p, p.hist, "hist:BTC/USDT:1d:1y", bars(9, 3))
	is(p, p.hist, "hist:NEWYORK:1d:1y", bars(14, 3))
	is(p, p.hist, "hist:ISO:1d:1y", bars(14, 3))
	is(p, p.hist, "hist:NOROWS:1d:1y", []Bar{})
	is(p, p.hist, "hist:EMPTY:1d:1y", []Bar{})
	is(p, p.hist, "hist:LARGE:1d:1y", bars(9, 2520))
	p.deadlines(map[string]time.Duration{"AAPL": 300 * time.Second, "SOON": 60500 * time.Millisecond, "FOREVER": 0})
}

// deadlines checks what is left of prices, of which 0 is "never".
func (p *peer) deadlines(left map[string]time.Duration) {
	for symbol, want := range left {
		x, err := p.prices.Chain().Explain(p.Context(), "price:"+symbol)
		p.ok(err)
		expires := x.Tiers[0].Expires
		if got := time.Until(expires); !x.Tiers[0].Present || expires.IsZero() != (want == 0) || want > 0 && (got > want || got < want-time.Minute) {
			p.Errorf("price:%s: present %v, expires at %v, in %v; want %v", symbol, x.Tiers[0].Present, expires, got, want)
		}
	}
}

func (p *peer) toPython() {
	ctx := p.Context()
	for symbol, price := range prices {
		p.ok(p.prices.Set(ctx, "price:"+symbol, price))
	}
	p.ok(p.batch.Set(ctx, "price:batch:1483401600", map[string]float64{"é": 1, "AAPL": 116.15}))
	p.ok(p.info.Set(ctx, "info:AAPL", map[string]any{"sector": "é 🚀 <&>", "pe": nil, "marketCap": 2.5e12}))
	p.ok(p.tickers.Set(ctx, "tickers:all", []string{"BTC/USDT", "ÖMV🚀"}))
	for symbol, rows := range map[string][]Bar{
		"PLAIN": bars(9, 3), "GAP": gap(bars(9, 3)), "BTC/USDT": bars(9, 3), "NEWYORK": inNewYork(bars(14, 3)), "NOROWS": {}, "LARGE": bars(9, 2520),
	} {
		p.ok(p.hist.Set(ctx, "hist:"+symbol+":1d:1y", rows))
	}
	three := "[[115.8, 116.25, 115.5, 0.3333333333, 28781900.0], [116.8, 117.25, 116.5, 1.3333333333, 28781901.0], [117.8, 118.25, 117.5, 2.3333333333, 28781902.0]]"
	floats := "float64,float64,float64,float64,int64 DatetimeIndex None"
	want := []string{
		"AAPL 123.45 True", "BTC/USDT 6.1e-07 True", "BRK.B 5.0 True", "ÖMV🚀 1e+22 True", "HALTED nan True",
		"INF inf True", "NEG -inf True", "SUM 0.30000000000000004 True", "ZERO -0.0 True", "NUMPY 123.456 True",
		"absent None forever 7.5 -1",
		"raw '0.00000061' string",
		`price:batch:1483401600 {"AAPL": 116.15, "\u00e9": 1}`,
		`info:AAPL {"marketCap": 2500000000000, "pe": null, "sector": "\u00e9 \ud83d\ude80 <&>"}`,
		`tickers:all ["BTC/USDT", "\u00d6MV\ud83d\ude80"]`,
		"PLAIN (3, 5) " + floats + " 2017-01-03T09:30:00 " + three,
		"GAP (3, 5) " + floats + " 2017-01-03T09:30:00 " + strings.Replace(three, "116.8, 117.25, 116.5, 1.3333333333", strings.Repeat("nan, ", 3)+"nan", 1),
		"BTC/USDT (3, 5) " + floats + " 2017-01-03T09:30:00 " + three,
		"NEWYORK (3, 5) " + floats + " 2017-01-03T14:30:00 " + three,
		"NOROWS (0, 5) float64,float64,float64,float64,float64 Float64Index None - []",
		"LARGE (2520, 5)",
	}
	got := strings.Split(strings.TrimSpace(p.bot("read")), "\n")
	for i := range max(len(got), len(want)) {
		g, w := at(got, i), at(want, i)
		if strings.HasPrefix(w, "NOROWS") { // its types and index are another in each version of pandas
			g, w = g[:min(len(g), 13)], w[:13]
		}
		if g != w {
			p.Errorf("Python has\n  %s\nwant\n  %s", g, w)
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}

// inNewYork is the same moments in another zone: only moments are stored.
func inNewYork(rows []Bar) []Bar {
	zone := time.FixedZone("EST", -5*3600)
	for i := range rows {
		rows[i].Date = rows[i].Date.In(zone)
	}
	return rows
}

func (p *peer) together() {
	ctx := context.WithoutCancel(p.Context())
	p.ok(p.hist.Set(ctx, "hist:GO:1d:1y", bars(9, 7)))
	p.ok(p.prices.SetMany(ctx, map[string]float64{"price:SHARED": 41, "price:GONE": 1, "price:KEPT": 2}))
	want := "from Go: 7\nfetched: 3\npipeline: [True, True, ['42.0', None]]\n"
	if got := p.bot("together"); got != want {
		p.Errorf("Python says\n%swant\n%s", got, want)
	}
	never := func(_ context.Context, key string) ([]Bar, error) {
		return nil, fmt.Errorf("%s was loaded, which Python has cached", key)
	}
	if rows, err := p.hist.GetOrLoad(ctx, "hist:PY:1d:1y", never); err != nil || len(rows) != 3 {
		p.Errorf("%d rows, %v", len(rows), err)
	}
	is(p, p.prices, "price:SHARED", 42)
	is(p, p.prices, "price:P1", 1.5)
	if _, err := p.prices.Get(ctx, "price:GONE"); !errors.Is(err, store.ErrNotFound) {
		p.Errorf("a price that Python deleted: %v", err)
	}
	p.deadlines(map[string]time.Duration{"KEPT": 24 * time.Hour})
	p.ok(p.prices.Delete(ctx, "price:SHARED"))
	if got := pythontest.Run(p, p.python, "", "-c", `
import redis, sys
host, port = sys.argv[1].rsplit(":", 1)
print(redis.Redis(host, int(port)).get("price:SHARED"))`, p.addr); got != "None\n" {
		p.Errorf("a price that Go deleted is %s", got)
	}
}
