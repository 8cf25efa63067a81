package chain_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

// The model test runs random operations on random chains, in fake time, and
// compares every answer with what a map would say: the latest acknowledged value,
// or a miss where there is none; after a failed operation, the old or the new.
// Stores fail, hang and are healed meanwhile.

const modelRules = `
rules:
  - {keys: "a:{id}", ttl: 60s, write: through}
  - {keys: "b:{id}", ttl: 60s, write: back}
  - {keys: "c:{id}", ttl: 60s, write: around}
  - {keys: "d:{id}", ttl: 60s, stale_if_error: 40s, jitter: 0.1}
  - {keys: "e:{id}", ttl: 60s, negative_ttl: 3s}
  - {keys: "f:{id}", ttl: never, tags: ["of:{id}"]}
`

// blue and red are two types of values; each cache of a chain has one.
type (
	blue struct{ N int }
	red  struct {
		N    int
		Note string
	}
)

// modelTier is one tier of a shape.
type modelTier struct {
	objects  int // capacity of a memory tier; -1: a tier of bytes
	back     bool
	noFiller bool
}

// step is one random operation.
type step struct {
	op   string
	key  string
	keys []string
	tier int
	red  bool
	tag  string
	wait time.Duration
}

func (s step) String() string {
	return fmt.Sprintf("%s key=%s keys=%v tier=%d red=%v tag=%s wait=%v", s.op, s.key, s.keys, s.tier, s.red, s.tag, s.wait)
}

// belief is what the model thinks of one key.
type belief struct {
	may    map[int]fact // values that may be there
	absent bool         // it may be absent although it has not expired
}

type fact struct {
	red         bool
	fresh, dead time.Time // zero: never
	tags        []string
}

type model struct {
	c      *chain.Chain
	blue   *chain.Cache[blue]
	red    *chain.Cache[red]
	faults []*faultstore.Store
	lossy  bool      // a chain without a tier of bytes may lose anything
	broken int       // faults in force
	healed time.Time // when the last one was taken back
	keys   map[string]*belief
	back   bool      // some tier is written back
	began  time.Time // the call: a batch may answer a key long before it returns
	n      int
}

func (m *model) of(key string) *belief {
	if m.keys[key] == nil {
		m.keys[key] = &belief{may: map[int]fact{}}
	}
	return m.keys[key]
}

// owing reports whether a tier may be owed a delete of key: a loaded value is not
// put into such a tier, and is a miss once memory has let go of it.
func (m *model) owing(key string) bool { return m.back || strings.HasPrefix(key, "b:") }

// troubled reports whether tiers may fail just now, or lag behind: breakers stay
// open for a while, and what failed is tried again later.
func (m *model) troubled() bool { return m.broken > 0 || time.Since(m.healed) < 10*time.Second }

func (m *model) life(key string) (fresh, dead time.Time) {
	now := time.Now()
	switch key[0] {
	case 'f':
		return time.Time{}, time.Time{}
	case 'd':
		return now.Add(54 * time.Second), now.Add(100 * time.Second)
	default:
		return now.Add(60 * time.Second), now.Add(60 * time.Second)
	}
}

func (m *model) fact(key string, isRed bool, tags ...string) fact {
	fresh, dead := m.life(key)
	if key[0] == 'f' {
		tags = append(tags, "of:"+key[2:])
	}
	return fact{isRed, fresh, dead, tags}
}

// wrote files a write of n (0: a delete) that ended with err.
func (m *model) wrote(key string, n int, f fact, err error) {
	b := m.of(key)
	if err == nil {
		b.may, b.absent = map[int]fact{}, false
	} else {
		b.absent = true
	}
	if n != 0 {
		b.may[n] = f
	}
}

// missable reports whether a read of key by a cache may find nothing.
func (m *model) missable(key string, isRed bool) bool {
	b := m.of(key)
	if m.lossy || b.absent || len(b.may) == 0 {
		return true
	}
	for _, f := range b.may {
		if f.red != isRed || !f.fresh.IsZero() && !time.Now().Before(f.fresh) {
			return true
		}
	}
	return false
}

// other reports whether key may hold a value of the other type.
func (m *model) other(key string, isRed bool) bool {
	for _, f := range m.of(key).may {
		if f.red != isRed {
			return true
		}
	}
	return false
}

// saw checks an answer: n is the value read, loaded what the loader gave (0: it
// was not called).
func (m *model) saw(key string, isRed bool, n, loaded int, err error) string {
	b := m.of(key)
	switch {
	case loaded != 0 && !m.missable(key, isRed) && !m.troubled():
		return fmt.Sprintf("loaded %s although it is there: %v", key, b.may)
	case loaded != 0 && err == nil && n == loaded:
		if m.troubled() || m.other(key, isRed) || m.owing(key) { // a tier that could not be asked, or is yet to take
			b.may[loaded], b.absent = m.fact(key, isRed), true // a write, may hold that and lack this
		} else {
			m.wrote(key, loaded, m.fact(key, isRed), nil)
		}
		return ""
	case errors.Is(err, store.ErrNotFound):
		if !m.missable(key, isRed) {
			return fmt.Sprintf("%s is not found; it may be %v", key, b.may)
		}
		return ""
	case err != nil:
		if !m.troubled() {
			return fmt.Sprintf("%s: %v, although all tiers are well", key, err)
		}
		return ""
	}
	f, ok := b.may[n]
	switch {
	case !ok:
		return fmt.Sprintf("%s is %d; it may be %v", key, n, b.may)
	case f.red != isRed:
		return fmt.Sprintf("%s is %d of the other type", key, n)
	case !f.dead.IsZero() && !m.began.Before(f.dead):
		return fmt.Sprintf("%s is %d, which expired at %v", key, n, f.dead)
	}
	return ""
}

func (m *model) do(ctx context.Context, s step) string {
	m.began = time.Now()
	m.n++
	n := m.n
	switch s.op {
	case "get":
		v, err := m.read(ctx, s, nil)
		return m.saw(s.key, s.red, v, 0, err)
	case "load":
		called := 0
		v, err := m.read(ctx, s, func() int { called = n; return n })
		return m.saw(s.key, s.red, v, called, err)
	case "set":
		f := m.fact(s.key, s.red, s.tag)
		m.wrote(s.key, n, f, m.write(ctx, s, n))
	case "delete":
		m.wrote(s.key, 0, fact{}, m.blue.Delete(ctx, s.key))
	case "getmany":
		r, _ := m.blue.GetMany(ctx, s.keys)
		for _, key := range s.keys {
			if why := m.saw(key, false, r[key].Value.N, 0, r[key].Err); why != "" {
				return "batch: " + why
			}
		}
	case "loadmany":
		return m.loadMany(ctx, s)
	case "setmany":
		batch := map[string]blue{}
		for _, key := range s.keys {
			batch[key] = blue{n}
		}
		err := m.blue.SetMany(ctx, batch)
		for _, key := range s.keys {
			m.wrote(key, n, m.fact(key, false), store.KeyError(err, key))
		}
	case "tag":
		_ = m.c.InvalidateTags(ctx, s.tag)
		m.invalidate(s.tag)
	case "clear":
		_ = m.c.Clear(ctx)
		m.keys = map[string]*belief{}
	case "wait":
		time.Sleep(s.wait)
	case "flush":
		fctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := m.c.Flush(fctx); err != nil && !m.troubled() {
			return fmt.Sprintf("flush: %v", err)
		}
	default:
		m.fault(s)
	}
	return ""
}

func (m *model) invalidate(tag string) {
	for _, b := range m.keys {
		for n, f := range b.may {
			for _, has := range f.tags {
				if has == tag {
					delete(b.may, n)
					b.absent = true
				}
			}
		}
	}
}

func (m *model) read(ctx context.Context, s step, load func() int) (int, error) {
	switch {
	case s.red && load == nil:
		v, err := m.red.Get(ctx, s.key)
		return v.N, err
	case s.red:
		v, err := m.red.GetOrLoad(ctx, s.key, func(context.Context, string) (red, error) { return red{N: load()}, nil })
		return v.N, err
	case load == nil:
		v, err := m.blue.Get(ctx, s.key)
		return v.N, err
	default:
		v, err := m.blue.GetOrLoad(ctx, s.key, func(context.Context, string) (blue, error) { return blue{load()}, nil })
		return v.N, err
	}
}

func (m *model) loadMany(ctx context.Context, s step) string {
	called := map[string]int{}
	r, _ := m.blue.GetOrLoadMany(ctx, s.keys, func(_ context.Context, keys []string) (map[string]blue, error) {
		out := map[string]blue{}
		for _, key := range keys {
			called[key] = m.n
			out[key] = blue{m.n}
		}
		return out, nil
	})
	for _, key := range s.keys {
		if why := m.saw(key, false, r[key].Value.N, called[key], r[key].Err); why != "" {
			return "batch load: " + why
		}
	}
	return ""
}

func (m *model) write(ctx context.Context, s step, n int) error {
	opts := chain.WriteOptions{Tags: []string{s.tag}}
	if s.red {
		return m.red.Set(ctx, s.key, red{N: n}, opts)
	}
	return m.blue.Set(ctx, s.key, blue{n}, opts)
}

// fault breaks or heals a tier.
func (m *model) fault(s step) {
	if len(m.faults) == 0 {
		return
	}
	f := m.faults[s.tier%len(m.faults)]
	any := faultstore.OpAll &^ faultstore.OpClose
	switch s.op {
	case "fail":
		f.Inject(faultstore.Fault{Op: any, Err: errBoom})
	case "hang":
		f.Inject(faultstore.Fault{Op: any, Hang: true})
	case "fail once":
		f.Inject(faultstore.Fault{Op: any, Err: errBoom, Times: 1})
	case "fail key":
		f.Inject(faultstore.Fault{Op: any, Err: errBoom, Key: func(key string) bool { return strings.HasSuffix(key, ":1") }})
	case "heal":
		if m.broken > 0 {
			for _, f := range m.faults {
				f.Reset()
			}
			m.broken, m.healed = 0, time.Now()
		}
		return
	}
	m.broken++
}
