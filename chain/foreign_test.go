package chain_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// Another process writes or deletes a key that this one is writing, deleting,
// reading, loading or flushing, at every moment between two steps of the chain. The
// newer version wins, in the shared tier and in all that the process holds itself.

// trap calls a function once, when a moment is reached.
type trap struct {
	mu     sync.Mutex
	moment string
	do     func()
}

func (tr *trap) reach(moment string) {
	tr.mu.Lock()
	do := tr.do
	if moment != tr.moment {
		do = nil
	} else {
		tr.do = nil
	}
	tr.mu.Unlock()
	if do != nil {
		do()
	}
}

// trapped is a tier whose steps are moments. One that compares is as a Redis with a
// feed: an older version replaces nothing, and deletes are remembered.
type trapped struct {
	*mapStore
	name     string
	compares bool
	trap     *trap
	mu       sync.Mutex
	gone     map[string]uint64
}

func (s *trapped) Get(ctx context.Context, key string) (store.Entry, error) {
	e, err := s.mapStore.Get(ctx, key)
	s.trap.reach(s.name + " was read")
	return e, err
}

func (s *trapped) Set(ctx context.Context, key string, e store.Entry) error {
	s.trap.reach(s.name + " is to be written")
	defer s.trap.reach(s.name + " was written")
	return s.set(ctx, key, e)
}

func (s *trapped) set(ctx context.Context, key string, e store.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, _ := s.Peek(key); s.compares && max(old.Version, s.gone[key]) > e.Version {
		return nil
	}
	return s.mapStore.Set(ctx, key, e)
}

func (s *trapped) Fill(ctx context.Context, key string, e store.Entry) (bool, error) {
	s.trap.reach(s.name + " is to be filled")
	defer s.trap.reach(s.name + " was filled")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone[key] >= e.Version {
		return false, nil
	}
	return s.mapStore.Fill(ctx, key, e)
}

func (s *trapped) Delete(ctx context.Context, key string) error {
	s.trap.reach(s.name + " is to be written")
	defer s.trap.reach(s.name + " was written")
	return s.mapStore.Delete(ctx, key)
}

func (s *trapped) DeleteVersions(ctx context.Context, versions map[string]uint64) error {
	s.trap.reach(s.name + " is to be written")
	defer s.trap.reach(s.name + " was written")
	return s.delete(ctx, versions)
}

func (s *trapped) delete(ctx context.Context, versions map[string]uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, v := range versions {
		if old, _ := s.Peek(key); old.Version > v {
			continue
		}
		s.gone[key] = max(s.gone[key], v)
		if err := s.mapStore.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

func (*trapped) TombstoneTTL() time.Duration { return time.Hour }

var _ store.Tombstoner = (*trapped)(nil)

// meeting is a process, and another that gets in its way.
type meeting struct {
	t           *testing.T
	cache       *chain.Cache[string]
	memory      *objectStore
	redis, disk *trapped
	trap        *trap
	other       *port
	newer       bool // the other's version, compared with this process's
	deletes     bool // the other deletes, or else writes "theirs"
	happened    bool
	pause       time.Duration // after the other's operation
	version     uint64        // of the other's operation
}

// modes are how the two tiers are written: r and d back, - through.
func meet(t *testing.T, modes string, newer, deletes bool) *meeting {
	w, tr := &wire{}, &trap{}
	m := &meeting{t: t, trap: tr, memory: newObjects(100), other: w.port(2), newer: newer, deletes: deletes}
	m.redis = &trapped{mapStore: newMap(), name: "redis", compares: true, trap: tr, gone: map[string]uint64{}}
	m.disk = &trapped{mapStore: newMap(), name: "disk", trap: tr, gone: map[string]uint64{}}
	c := newChain(t, []chain.Tier{
		{Name: "memory", Store: m.memory}, {Name: "redis", Store: m.redis, Shared: true, WriteBack: strings.Contains(modes, "r")},
		{Name: "disk", Store: m.disk, WriteBack: strings.Contains(modes, "d")},
	}, "", &chain.Options{Feed: w.port(1)})
	m.cache = chain.NewCache[string](c, nil)
	synctest.Wait() // it follows
	return m
}

// news has the other process carry its operation out, and this one hear of it. An
// older one has been held up on its way: it began half a second ago.
func (m *meeting) news() {
	ctx, key := context.Background(), "k"
	time.Sleep(5 * time.Millisecond)
	at := time.Now()
	if !m.newer {
		at = at.Add(-500 * time.Millisecond)
	}
	m.version = uint64(at.UnixMilli()) << 16
	if m.deletes {
		noErr(m.t, m.redis.delete(ctx, map[string]uint64{key: m.version}))
	} else {
		noErr(m.t, m.redis.set(ctx, key, store.Entry{Value: []byte("theirs"), Version: m.version, Codec: "text"}))
	}
	noErr(m.t, m.other.Publish(ctx, []store.Change{{Kind: store.ChangeWrite, Key: key, Version: m.version}}))
	synctest.Wait()
	time.Sleep(m.pause)
	m.happened = true
}

// at has the news come at a moment of what do does.
func (m *meeting) at(moment string, do func()) {
	m.trap.mu.Lock()
	m.trap.moment, m.trap.do = moment, m.news
	m.trap.mu.Unlock()
	do()
}

// settled checks what the process reads, now and without its memory, and what the
// tiers hold, which is want: "" for nothing.
func (m *meeting) settled(want string) {
	m.t.Helper()
	flush(m.t, m.cache.Chain())
	synctest.Wait()
	for _, from := range []string{"memory", "the tiers"} {
		v, err := m.cache.Get(m.t.Context(), "k")
		if want == "" && !errors.Is(err, store.ErrNotFound) || want != "" && (err != nil || v != want) {
			m.t.Errorf("read %q, %v from %s; want %q", v, err, from, want)
		}
		flush(m.t, m.cache.Chain())
		noErr(m.t, m.memory.Delete(m.t.Context(), "k"))
	}
	if e, _ := m.redis.Peek("k"); string(e.Value) != want {
		m.t.Errorf("the shared tier holds %q; want %q", e.Value, want)
	}
	if e, ok := m.disk.Peek("k"); ok && string(e.Value) != want {
		m.t.Errorf("this process's disk holds %q; want %q, or nothing", e.Value, want)
	}
}

// encounter is an operation of this process, in the midst of which the other's comes.
type encounter struct {
	name  string
	modes string           // those in which the moment comes
	do    func(m *meeting) // prepares, and calls m.at or m.news
	ours  string           // what it leaves, where the other's is older
	after bool             // it began when the other's was known: it is the newer one
	loads bool             // a delete is known before the load begins, which is the newer one then
	newer bool             // the other's is always newer
}

func encounters() []encounter {
	set := func(m *meeting) { noErr(m.t, m.cache.Set(context.Background(), "k", "ours")) }
	del := func(m *meeting) { noErr(m.t, m.cache.Delete(context.Background(), "k")) }
	before := func(m *meeting) { // what everybody has, a second ago
		noErr(m.t, m.cache.Set(context.Background(), "k", "before"))
		flush(m.t, m.cache.Chain())
		time.Sleep(time.Second)
	}
	flushed := func(op func(*meeting)) func(*meeting) {
		return func(m *meeting) { op(m); flush(m.t, m.cache.Chain()) }
	}
	read := func(m *meeting) { // which began before the other's operation, so that it may find either
		_, _ = m.cache.Get(context.Background(), "k")
		flush(m.t, m.cache.Chain())
	}
	load := func(m *meeting) {
		v, err := m.cache.GetOrLoad(context.Background(), "k", func(context.Context, string) (string, error) {
			m.trap.reach("it is loaded")
			return "ours", nil
		})
		if err != nil || v != "ours" && v != "theirs" {
			m.t.Errorf("the load: %q, %v", v, err)
		}
		flush(m.t, m.cache.Chain())
	}
	plant := func(s *trapped) { // written 300 ms ago, and after this process began to follow
		time.Sleep(time.Second)
		v := uint64(time.Now().Add(-300*time.Millisecond).UnixMilli()) << 16
		s.Plant("k", store.Entry{Value: []byte("ours"), Version: v, Codec: "text"})
	}
	shared := func(m *meeting) { plant(m.redis) }
	onDisk := func(m *meeting) { plant(m.disk) }
	nextMillisecond := func(m *meeting) { m.pause = time.Millisecond } // what is loaded in that of a delete gives way to it
	prepared := func(prepare, op func(*meeting), moment string) func(*meeting) {
		return func(m *meeting) { prepare(m); m.at(moment, func() { op(m) }) }
	}
	es := []encounter{
		{name: "it holds the key", modes: "-- rd -d r-", ours: "ours", do: func(m *meeting) { before(m); flushed(set)(m); m.news() }},
		{name: "it waits for its flush", modes: "rd", ours: "ours", do: func(m *meeting) { before(m); set(m); m.news() }},
		{name: "a delete waits for its flush", modes: "rd", do: func(m *meeting) { before(m); del(m); m.news() }},
		{name: "then set", modes: "-- rd -d r-", ours: "ours", after: true, do: func(m *meeting) { before(m); m.news(); set(m) }},
		{name: "then deleted", modes: "-- rd -d r-", after: true, do: func(m *meeting) { before(m); m.news(); del(m) }},
	}
	for _, moment := range []string{"redis is to be written", "redis was written", "disk is to be written", "disk was written"} {
		es = append(es,
			encounter{name: "set, " + moment, modes: "-- rd -d r-", ours: "ours", do: prepared(before, flushed(set), moment)},
			encounter{name: "delete, " + moment, modes: "-- rd -d r-", do: prepared(before, flushed(del), moment)})
	}
	es = append(es, encounter{name: "read, redis was read", modes: "-- rd", ours: "ours", do: prepared(shared, read, "redis was read")})
	for _, moment := range []string{"redis was read", "disk was read", "redis is to be filled", "redis was filled"} {
		es = append(es, encounter{name: "read from disk, " + moment, modes: "-- rd", ours: "ours", newer: true, do: prepared(onDisk, read, moment)})
	}
	for _, moment := range []string{"redis was read", "disk was read"} { // the load begins when the key is known to be absent
		es = append(es, encounter{name: "load, " + moment, modes: "-- rd", ours: "ours", newer: true, loads: true, do: prepared(nextMillisecond, load, moment)})
	}
	for _, moment := range []string{"it is loaded", "redis is to be filled", "redis was filled", "disk is to be filled", "disk was filled"} {
		es = append(es, encounter{name: "load, " + moment, modes: "-- rd", ours: "ours", newer: true, do: prepared(func(*meeting) {}, load, moment)})
	}
	return es
}

func TestForeignWriteAtEveryMoment(t *testing.T) {
	for _, e := range encounters() {
		for mode := range strings.FieldsSeq(e.modes) {
			for _, newer := range []bool{true, false} {
				for _, deletes := range []bool{true, false} {
					if !newer && e.newer {
						continue
					}
					t.Run(fmt.Sprintf("%s/%s/newer=%v/deletes=%v", e.name, mode, newer, deletes), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							m := meet(t, mode, newer, deletes)
							e.do(m)
							if !m.happened {
								t.Fatal("that moment never came")
							}
							want := e.ours
							if newer && !e.after && (!e.loads || !deletes) {
								want = "theirs"
								if deletes {
									want = ""
								}
							}
							m.settled(want)
						})
					})
				}
			}
		}
	}
}

// A feed that hands a process its own changes back, which it is not to, costs it what it
// holds, for that could be another's write of the same version, and no more than that.
func TestOwnChangesComeBack(t *testing.T) {
	for _, modes := range []string{"--", "rd", "-d", "r-"} {
		synctest.Test(t, func(t *testing.T) {
			m := meet(t, modes, true, false)
			noErr(t, m.cache.Set(t.Context(), "k", "ours"))
			flush(t, m.cache.Chain())
			e, _ := m.redis.Peek("k")
			reads := m.redis.Reads("k")
			for range 3 {
				noErr(t, m.other.Publish(t.Context(), []store.Change{{Kind: store.ChangeWrite, Key: "k", Version: e.Version}}))
				synctest.Wait()
				v, err := m.cache.Get(t.Context(), "k")
				want(t, v, err, "ours")
				flush(t, m.cache.Chain())
			}
			if n := m.redis.Reads("k") - reads; n > 3 {
				t.Errorf("%s: %d reads of the shared tier; want three at most", modes, n)
			}
		})
	}
}
