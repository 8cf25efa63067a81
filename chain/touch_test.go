package chain_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// A shared tier that tells of every key that is touched in it, as a Redis that tracks
// keys does: also of this process's own writes, and not by whom or how.

// touchFeed is a feed that tells of touches, and of nothing else.
type touchFeed struct {
	mu   sync.Mutex
	keys []string
	news []store.News // of other kinds
	held bool         // what is published waits here, until it is let go
	wake chan struct{}
	busy atomic.Bool // it is telling
}

func newTouchFeed() *touchFeed { return &touchFeed{wake: make(chan struct{}, 1)} }

func (*touchFeed) Publish(context.Context, []store.Change) error { return nil }

func (f *touchFeed) Follow(ctx context.Context, _ string, tell func(store.News)) error {
	tell(store.News{Cursor: "0", Unheard: true})
	for {
		select {
		case <-f.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
		f.mu.Lock()
		news := f.news
		if f.news = nil; !f.held && len(f.keys) > 0 {
			n := store.News{}
			for _, key := range f.keys {
				n.Changes = append(n.Changes, store.Change{Kind: store.ChangeTouch, Key: key})
			}
			news, f.keys = append(news, n), nil
		}
		f.mu.Unlock()
		f.busy.Store(true)
		for _, n := range news {
			tell(n)
		}
		f.busy.Store(false)
	}
}

func (f *touchFeed) change(do func()) {
	f.mu.Lock()
	do()
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *touchFeed) touch(key string)     { f.change(func() { f.keys = append(f.keys, key) }) }
func (f *touchFeed) hold(on bool)         { f.change(func() { f.held = on }) }
func (f *touchFeed) tell(n ...store.News) { f.change(func() { f.news = append(f.news, n...) }) }

// watchedTier is that tier. A plain one forgets versions, and is filled only where it
// holds nothing. Its steps are moments.
type watchedTier struct {
	*mapStore
	plain bool
	trap  *trap
	feed  *touchFeed
}

func (s *watchedTier) as(e store.Entry) store.Entry {
	if s.plain {
		e.Version, e.Codec = 0, ""
	}
	return e
}

func (s *watchedTier) Get(ctx context.Context, key string) (store.Entry, error) {
	e, err := s.mapStore.Get(ctx, key)
	s.trap.reach("redis was read")
	return e, err
}

func (s *watchedTier) Set(ctx context.Context, key string, e store.Entry) error {
	s.trap.reach("redis is to be written")
	defer s.trap.reach("redis was written")
	defer s.feed.touch(key)
	return s.mapStore.Set(ctx, key, s.as(e))
}

func (s *watchedTier) SetMany(ctx context.Context, entries map[string]store.Entry) error {
	for key, e := range entries {
		if err := s.Set(ctx, key, e); err != nil {
			return err
		}
	}
	return nil
}

func (s *watchedTier) Fill(ctx context.Context, key string, e store.Entry) (stored bool, err error) {
	s.trap.reach("redis is to be filled")
	defer s.trap.reach("redis was filled")
	if _, there := s.Peek(key); there && s.plain {
		return false, nil
	}
	if stored, err = s.mapStore.Fill(ctx, key, s.as(e)); !there(s, key) || !stored {
		return stored, err
	}
	s.feed.touch(key)
	return stored, err
}

func there(s *watchedTier, key string) bool { return on(s.mapStore, key) }

func on(s *mapStore, key string) bool { _, ok := s.Peek(key); return ok }

func (s *watchedTier) Delete(ctx context.Context, key string) error {
	s.trap.reach("redis is to be written")
	defer s.trap.reach("redis was written")
	if there(s, key) {
		defer s.feed.touch(key)
	}
	return s.mapStore.Delete(ctx, key)
}

func (s *watchedTier) Versions(_ context.Context, keys []string) (map[string]uint64, error) {
	found := map[string]uint64{}
	for _, key := range keys {
		if e, ok := s.Peek(key); ok {
			found[key] = e.Version
		}
	}
	s.trap.reach("redis was asked")
	return found, nil
}

// visit is a process whose shared tier is touched by a stranger.
type visit struct {
	t       *testing.T
	cache   *chain.Cache[string]
	memory  *objectStore
	redis   *watchedTier
	disk    *mapStore // nil: there is none
	deletes bool      // the stranger deletes, or else writes "theirs"
	late    bool      // this process hears of it when its own operation is over
	moment  string    // at which he comes
	happens int
}

// modes are how the tiers are written: r and d back, - through. Without d and the second
// - there is no disk.
func visited(t *testing.T, modes string, plain, deletes, late bool) *visit {
	v := &visit{t: t, memory: newObjects(100), deletes: deletes, late: late}
	v.redis = &watchedTier{mapStore: newMap(), plain: plain, trap: &trap{}, feed: newTouchFeed()}
	tiers := []chain.Tier{
		{Name: "memory", Store: v.memory},
		{Name: "redis", Store: v.redis, Shared: true, WriteBack: modes[0] == 'r'},
	}
	if len(modes) > 1 {
		v.disk = newMap()
		tiers = append(tiers, chain.Tier{Name: "disk", Store: v.disk, WriteBack: modes[1] == 'd'})
	}
	v.cache = chain.NewCache[string](newChain(t, tiers, "", &chain.Options{Feed: v.redis.feed}), nil)
	synctest.Wait()
	return v
}

// stranger does what it does, now.
func (v *visit) stranger() {
	v.redis.feed.hold(v.late)
	if v.happens++; v.deletes {
		noErr(v.t, v.redis.mapStore.Delete(context.Background(), "k"))
	} else {
		v.redis.Plant("k", store.Entry{Value: []byte("theirs")})
	}
	v.redis.feed.touch("k")
	asks := v.moment == "redis was asked" || v.moment == "redis was read"
	if v.late || asks && v.redis.feed.busy.Load() { // it is he who would have to hear of it that asks
		return
	}
	synctest.Wait()
	v.agrees("while it is under way")
}

// at has the stranger come at a moment of what do does.
func (v *visit) at(moment string, do func()) {
	v.moment = moment
	v.redis.trap.mu.Lock()
	v.redis.trap.moment, v.redis.trap.do = moment, v.stranger
	v.redis.trap.mu.Unlock()
	do()
	v.redis.trap.mu.Lock()
	v.redis.trap.do = nil
	v.redis.trap.mu.Unlock()
}

// agrees checks that the process reads what the shared tier holds.
func (v *visit) agrees(when string) {
	v.t.Helper()
	if when == "while it is under way" && strings.Contains(v.pending(), "r") {
		return // its own write comes after the stranger's, and is read first
	}
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute) // it must not wait for what is under way
	defer cancel()
	got, err := v.cache.Get(ctx, "k")
	e, ok := v.redis.Peek("k")
	switch {
	case ok && (err != nil || got != string(e.Value)):
		v.t.Errorf("%s: read %q, %v; the shared tier holds %q", when, got, err, e.Value)
	case !ok && v.disk == nil && !errors.Is(err, store.ErrNotFound):
		v.t.Errorf("%s: read %q, %v; the shared tier holds nothing", when, got, err)
	}
}

// pending says for which tiers writes wait.
func (v *visit) pending() (tiers string) {
	for _, t := range v.cache.Chain().Stats().Tiers {
		if t.Pending.Entries > 0 {
			tiers += t.Name[:1]
		}
	}
	return tiers
}

// settled checks what is left when all is over: memory and the disk hold nothing that the
// shared tier has not.
func (v *visit) settled() {
	v.t.Helper()
	v.redis.feed.hold(false)
	flush(v.t, v.cache.Chain())
	synctest.Wait()
	v.agrees("in the end")
	if v.disk == nil {
		return
	}
	d, kept := v.disk.Peek("k")
	if e, ok := v.redis.Peek("k"); ok && kept && string(d.Value) != string(e.Value) {
		v.t.Errorf("the disk holds %q; the shared tier %q", d.Value, e.Value)
	}
}

// visits are the operations of this process in the midst of which the stranger comes.
func visits() map[string]func(v *visit, moment string) {
	set := func(v *visit) { noErr(v.t, v.cache.Set(context.Background(), "k", "ours")) }
	before := func(v *visit) {
		noErr(v.t, v.cache.Set(context.Background(), "k", "before"))
		flush(v.t, v.cache.Chain())
		synctest.Wait()
		time.Sleep(time.Second)
	}
	with := func(prepare, do func(*visit)) func(*visit, string) {
		return func(v *visit, moment string) { prepare(v); v.at(moment, func() { do(v) }) }
	}
	forgetful := func(v *visit) { before(v); noErr(v.t, v.memory.Delete(context.Background(), "k")) }
	return map[string]func(*visit, string){
		"set":          with(before, func(v *visit) { set(v); flush(v.t, v.cache.Chain()) }),
		"set of a new": with(func(*visit) {}, func(v *visit) { set(v); flush(v.t, v.cache.Chain()) }),
		"set of many": with(before, func(v *visit) {
			noErr(v.t, v.cache.SetMany(context.Background(), map[string]string{"k": "ours", "l": "ours"}))
			flush(v.t, v.cache.Chain())
		}),
		"delete": with(before, func(v *visit) {
			noErr(v.t, v.cache.Delete(context.Background(), "k"))
			flush(v.t, v.cache.Chain())
		}),
		"read": with(forgetful, func(v *visit) { _, _ = v.cache.Get(context.Background(), "k"); flush(v.t, v.cache.Chain()) }),
		"load": with(func(*visit) {}, func(v *visit) {
			_, err := v.cache.GetOrLoad(context.Background(), "k", func(context.Context, string) (string, error) {
				v.redis.trap.reach("it is loaded")
				return "ours", nil
			})
			noErr(v.t, err)
			flush(v.t, v.cache.Chain())
		}),
		"nothing": with(before, func(v *visit) { v.redis.trap.reach("it is held") }),
	}
}

// A program that knows nothing of strata writes or deletes a key that this process holds,
// is writing, deleting, reading or loading, at every moment between two steps. From when
// it has been heard of, the process reads what the shared tier holds, and so it does in the
// end whenever it was heard of.
func TestStrangerAtEveryMoment(t *testing.T) {
	moments := []string{
		"redis was read", "redis is to be written", "redis was written", "redis was asked",
		"redis is to be filled", "redis was filled", "it is loaded", "it is held",
	}
	var mu sync.Mutex
	happened := map[string]bool{}
	for name, do := range visits() {
		for _, moment := range moments {
			for i := range 24 {
				modes := []string{"-", "r", "--"}[i/8]
				plain, deletes, late := i&1 != 0, i&2 != 0, i&4 != 0
				t.Run(fmt.Sprintf("%s/%s/%s/plain=%v/deletes=%v/late=%v", name, moment, modes, plain, deletes, late), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						v := visited(t, modes, plain, deletes, late)
						do(v, moment)
						v.settled()
						mu.Lock()
						defer mu.Unlock()
						happened[name+", "+moment] = happened[name+", "+moment] || v.happens > 0
					})
				})
			}
		}
	}
	for _, want := range []string{
		"set, redis is to be written", "set, redis was written", "set, redis was asked", "set of many, redis was written",
		"delete, redis was written", "read, redis was read", "load, redis was read", "load, it is loaded",
		"load, redis is to be filled", "load, redis was filled", "nothing, it is held",
	} {
		if !happened[want] {
			t.Errorf("it never came to this: %s", want)
		}
	}
}
