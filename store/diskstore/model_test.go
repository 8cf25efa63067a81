package diskstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore/internal/table"
)

// model is what the store should hold.
type model struct {
	t    *testing.T
	rng  *rand.Rand
	fs   *vfs.MemFS
	s    *Store
	want map[string]store.Entry
	log  []string
}

func (m *model) open() {
	opts := Options{Sync: SyncAlways, SegmentSize: 3 << 10, CompactionRate: -1, Partitioner: histRule{}, fs: m.fs}
	opts.OnError = func(err error) {
		if !strings.Contains(err.Error(), "torn record") { // what a crash leaves
			m.t.Error(err)
		}
	}
	s, err := Open("", &opts)
	if err != nil {
		m.fail("open: %v", err)
	}
	m.s = s
}

func (m *model) fail(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf("%s\nafter:\n%s", fmt.Sprintf(format, args...), strings.Join(m.log[max(0, len(m.log)-60):], "\n"))
}

// key is one of 48, of which 12 may become tables.
func (m *model) key() string { return modelKey(m.rng.IntN(4), m.rng.IntN(12)) }

func modelKey(a, b int) string {
	if a == 3 {
		return fmt.Sprintf("hist:S%d:1d", b)
	}
	return fmt.Sprintf("k%d:%d", a, b)
}

func (m *model) entry() store.Entry {
	e := store.Entry{Value: []byte(fmt.Sprintf("%d", m.rng.Uint64())), Version: m.rng.Uint64N(100)}
	e.Value = append(e.Value, make([]byte, m.rng.IntN(200))...)
	if m.rng.IntN(2) == 0 { // a table, under a key that may be one
		e.Value = []byte("PAR1" + string(e.Value) + "PAR1")
		e.Codec = tableCodec
	}
	if m.rng.IntN(4) == 0 {
		e.Expires = time.Now().Add(time.Hour)
	}
	if m.rng.IntN(8) == 0 {
		e.Tags = []string{"a", "b"}
	}
	return e
}

func (m *model) must(what string, err error) {
	m.log = append(m.log, what)
	if err != nil {
		m.fail("%s: %v", what, err)
	}
}

// step does one random operation on both.
func (m *model) step() {
	switch n := m.rng.IntN(100); {
	case n < 45:
		k, e := m.key(), m.entry()
		m.must("set "+k, m.s.Set(ctx, k, e))
		m.want[k] = e
	case n < 60:
		k := m.key()
		m.must("delete "+k, m.s.Delete(ctx, k))
		delete(m.want, k)
	case n < 68:
		k, e := m.key(), m.entry()
		old, have := m.want[k]
		stored, err := m.s.Fill(ctx, k, e)
		m.must("fill "+k, err)
		if stored != (!have || store.Newer(e.Version, old.Version)) {
			m.fail("fill %s with %d over %d: stored %v", k, e.Version, old.Version, stored)
		}
		if stored {
			m.want[k] = e
		}
	case n < 74:
		m.batch()
	case n < 77:
		m.load()
	case n < 82:
		m.must("flush", m.s.Flush(ctx))
	case n < 85:
		m.must("compact", m.s.Compact(ctx))
	case n < 86:
		m.must("clear", m.s.Clear(ctx))
		clear(m.want)
	case n < 88:
		m.must("close", m.s.Close())
		m.open()
	case n < 90:
		m.crash()
	default:
		m.check(m.key())
	}
}

func (m *model) batch() {
	in := map[string]store.Entry{}
	for range m.rng.IntN(10) {
		in[m.key()] = m.entry()
	}
	m.must("set many", m.s.SetMany(ctx, in))
	for k, e := range in {
		m.want[k] = e
	}
}

// load loads random entries, with other operations in between, which are newer.
// A key that may be a table is written when it comes.
func (m *model) load() {
	newer := map[string]bool{}
	err := m.s.Load(ctx, func(yield func(string, store.Entry) bool) {
		for range m.rng.IntN(30) {
			k, e := m.key(), m.entry()
			if _, table := m.s.tablePath(k); table || !newer[k] {
				m.want[k] = e
			}
			if !yield(k, e) {
				return
			}
			m.duringLoad(newer)
		}
	})
	m.must("load", err)
}

func (m *model) duringLoad(newer map[string]bool) {
	switch k := m.key(); m.rng.IntN(24) {
	case 0:
		e := m.entry()
		m.must("in a load set "+k, m.s.Set(ctx, k, e))
		m.want[k], newer[k] = e, true
	case 1:
		m.must("in a load delete "+k, m.s.Delete(ctx, k))
		delete(m.want, k)
		newer[k] = true
	case 2:
		m.must("in a load flush", m.s.Flush(ctx))
	case 3:
		if m.rng.IntN(4) == 0 {
			m.must("in a load compact", m.s.Compact(ctx))
		}
	}
}

// crash cuts the power: what was not synced may be there or not, in pieces.
func (m *model) crash() {
	m.log = append(m.log, "crash")
	clone := m.fs.CrashClone(m.rng, m.rng.Float64())
	_ = m.s.Close()
	m.fs = clone
	m.open()
}

func (m *model) check(key string) {
	m.t.Helper()
	got, err := m.s.Get(ctx, key)
	want, ok := m.want[key]
	switch {
	case !ok && !errors.Is(err, store.ErrNotFound):
		m.fail("%s: %.20q, %v; want a miss", key, got.Value, err)
	case ok && err != nil:
		m.fail("%s: %v; want %.20q", key, err, want.Value)
	case ok && (string(got.Value) != string(want.Value) || got.Version != want.Version || got.Expires.UnixMicro() != want.Expires.UnixMicro() || !slices.Equal(got.Tags, want.Tags)):
		m.fail("%s: %+v; want %+v", key, got, want)
	}
}

func (m *model) checkAll() {
	m.t.Helper()
	keys := []string{}
	for a := range 4 {
		for b := range 12 {
			keys = append(keys, modelKey(a, b))
			m.check(keys[len(keys)-1])
		}
	}
	m.checkView(keys[m.rng.IntN(len(keys))])
	many, err := m.s.GetMany(ctx, keys)
	if err != nil || len(many) != len(m.want) {
		m.fail("get many: %d of %d, %v", len(many), len(m.want), err)
	}
	seen := map[string]int{}
	for k, err := range m.s.Scan(ctx, "k1:") {
		if err != nil {
			m.fail("scan: %v", err)
		}
		seen[k]++
	}
	for _, k := range keys {
		_, ok := m.want[k]
		if n := seen[k]; strings.HasPrefix(k, "k1:") && ok && n != 1 || !(ok && strings.HasPrefix(k, "k1:")) && n != 0 {
			m.fail("scan has %s %d times", k, n)
		}
	}
}

// checkView reads a key without a copy.
func (m *model) checkView(key string) {
	m.t.Helper()
	v, err := m.s.View(ctx, key)
	if want, ok := m.want[key]; ok != (err == nil) || string(v.Value) != string(want.Value) {
		m.fail("view of %s: %.20q, %v; want %.20q", key, v.Value, err, want.Value)
	}
	v.Release()
}

// checkTables compares the table files, which SQL engines read, with the keys.
func (m *model) checkTables() {
	m.t.Helper()
	m.must("maintain", m.s.maintain(ctx)) // sweeps after a crash
	want := map[string]bool{}
	for key, e := range m.want {
		if rel, ok := m.s.tablePath(key); ok && isTable(&e) {
			want[rel] = true
		}
	}
	err := m.s.tables.dir.Walk(func(i table.Info) error {
		if !want[i.Rel] {
			m.fail("table %s is of no live key", i.Rel)
		}
		delete(want, i.Rel)
		return nil
	})
	if err != nil || len(want) > 0 {
		m.fail("tables without a file: %v, %v", want, err)
	}
}

// TestModel compares random operations, reopening and power failures with a
// map.
func TestModel(t *testing.T) {
	seeds, steps := 12, 400
	if os.Getenv("STRATA_TORTURE") != "" {
		seeds, steps = 300, 2000
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := &model{t: t, rng: rand.New(rand.NewPCG(uint64(seed), 5)), fs: vfs.Mem(), want: map[string]store.Entry{}}
			m.open()
			for i := range steps {
				m.step()
				if i%50 == 0 {
					m.checkAll()
				}
			}
			m.checkAll()
			m.checkTables()
			if err := m.s.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
