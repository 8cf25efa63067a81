package redisstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/frame"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
)

var ctx = context.Background()

// raw returns a client beside the store, as another program has one.
func raw(t testing.TB) *redis.Client { return redistest.Shared(t).Client(t) }

func mustSet(t testing.TB, s store.Store, key string, e store.Entry) {
	t.Helper()
	if err := s.Set(ctx, key, e); err != nil {
		t.Fatal(err)
	}
}

func mustGet(t testing.TB, s store.Store, key string) store.Entry {
	t.Helper()
	e, err := s.Get(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// pricesPlain is a policy as the market-data bot has it.
type pricesPlain struct{}

func (pricesPlain) Wire(key string) (bool, time.Duration) {
	return len(key) > 6 && key[:6] == "price:", time.Minute
}

func TestPlainValueIsWhatOtherProgramsExpect(t *testing.T) {
	s, c := prefixed(t, Options{Wire: pricesPlain{}}), raw(t)
	mustSet(t, s, "price:AAPL", store.Entry{Value: []byte("123.45"), Version: 7, Expires: time.Now().Add(5 * time.Minute)})
	if got, err := c.Get(ctx, s.opts.Prefix+"price:AAPL").Result(); err != nil || got != "123.45" {
		t.Fatalf("GET = %q, %v; want the bare number", got, err)
	}
	if ttl, err := c.PTTL(ctx, s.opts.Prefix+"price:AAPL").Result(); err != nil || ttl > 5*time.Minute || ttl < 4*time.Minute {
		t.Fatalf("PTTL = %v, %v; want 5 minutes", ttl, err)
	}
}

// redis-py's r.setex(key, 300, "123.45") and r.set(key, ...), read by the store,
// alone and in a batch, under a plain key and a framed one.
func TestForeignValuesAreEntries(t *testing.T) {
	s, c := prefixed(t, Options{Wire: pricesPlain{}}), raw(t)
	for _, key := range []string{"price:MSFT", "info:MSFT"} {
		if err := c.Do(ctx, "SETEX", s.opts.Prefix+key, 300, "123.45").Err(); err != nil {
			t.Fatal(err)
		}
		if err := c.Set(ctx, s.opts.Prefix+key+":for-ever", "1", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	many, err := s.GetMany(ctx, []string{"price:MSFT", "info:MSFT", "price:MSFT:for-ever", "info:MSFT:for-ever", "price:none", "info:none"})
	if err != nil || len(many) != 4 {
		t.Fatalf("GetMany: %d entries, %v; want 4", len(many), err)
	}
	for _, key := range []string{"price:MSFT", "info:MSFT"} {
		for how, e := range map[string]store.Entry{"Get": mustGet(t, s, key), "GetMany": many[key]} {
			left := time.Until(e.Expires)
			if string(e.Value) != "123.45" || e.Version != 0 || left > 300*time.Second || left < 200*time.Second {
				t.Errorf("%s(%s) = %q version %d with %v left", how, key, e.Value, e.Version, left)
			}
		}
		for how, e := range map[string]store.Entry{"Get": mustGet(t, s, key+":for-ever"), "GetMany": many[key+":for-ever"]} {
			if !e.Expires.IsZero() || !e.Fresh.IsZero() {
				t.Errorf("%s(%s) without expiry has deadlines %v, %v", how, key, e.Expires, e.Fresh)
			}
		}
	}
	e := mustGet(t, s, "price:MSFT")
	if got := e.Expires.Sub(e.Fresh); got != time.Minute {
		t.Errorf("the soft deadline of a plain value is %v before the hard one; want the rule's grace of 1m", got)
	}
}

func TestBothFormsAreReadUnderEveryKey(t *testing.T) {
	framed := prefixed(t, Options{})
	plain := open(t, Options{Prefix: framed.opts.Prefix, Wire: allPlain{}})
	e := store.Entry{Value: []byte("v"), Version: 9, Tags: []string{"t"}, Codec: "json"}
	mustSet(t, framed, "k", e)
	if got := mustGet(t, plain, "k"); got.Version != 9 || string(got.Value) != "v" || len(got.Tags) != 1 {
		t.Errorf("a frame under a plain key reads as %+v", got)
	}
	mustSet(t, plain, "k", e)
	if got := mustGet(t, framed, "k"); got.Version != 0 || string(got.Value) != "v" {
		t.Errorf("a plain value under a framed key reads as %+v", got)
	}
	many, err := framed.GetMany(ctx, []string{"k", "absent"})
	if err != nil || string(many["k"].Value) != "v" {
		t.Errorf("GetMany of it: %+v, %v", many, err)
	}
}

// A value that reads like a frame has to come back as it was set, also from a
// plain key, and also if it is a sound frame of that very key.
func TestValuesThatLookLikeFrames(t *testing.T) {
	inner := store.Entry{Value: []byte("inner"), Version: 3}
	asFrame, err := frame.Append(nil, "k", &inner)
	if err != nil {
		t.Fatal(err)
	}
	for _, opts := range []Options{{}, {Wire: allPlain{}}} {
		s := prefixed(t, opts)
		for _, v := range [][]byte{asFrame, asFrame[:5], []byte("\xc1st"), []byte("\xc1"), []byte("\xc1s"), []byte("\xc1\xff\xff")} {
			mustSet(t, s, "k", store.Entry{Value: v})
			if got := mustGet(t, s, "k"); !bytes.Equal(got.Value, v) {
				t.Errorf("plain %v: %x came back as %x", opts.Wire != nil, v, got.Value)
			}
		}
	}
}

func TestDamagedFrameIsCorruptAndIsRemoved(t *testing.T) {
	s, c := prefixed(t, Options{}), raw(t)
	read := map[string]func(key string) error{
		"Get": func(key string) error { _, err := s.Get(ctx, key); return err },
		"GetMany": func(key string) error {
			_, err := s.GetMany(ctx, []string{key, "another"})
			return store.KeyError(err, key)
		},
	}
	for how, get := range read {
		mustSet(t, s, "k", store.Entry{Value: []byte("value"), Version: 5})
		if err := c.SetRange(ctx, s.opts.Prefix+"k", 18, "X").Err(); err != nil {
			t.Fatal(err)
		}
		var serr *store.Error
		if err := get("k"); !errors.Is(err, store.ErrCorrupt) || !errors.As(err, &serr) || serr.Key != "k" {
			t.Errorf("%s of a damaged frame: %v", how, err)
		}
		// The damage must not keep the next load away, whatever version it claims.
		if stored, err := s.Fill(ctx, "k", store.Entry{Value: []byte("again"), Version: 1}); err != nil || !stored {
			t.Errorf("%s: the damaged frame blocks fills: %v, %v", how, stored, err)
		}
	}
	if n := s.Stats().Corrupt; n != 2 {
		t.Errorf("%d corrupt entries counted, want 2", n)
	}
	if err := c.Set(ctx, s.opts.Prefix+"k", "\xc1 is no frame", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := read["Get"]("k"); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a foreign value that begins with C1 under a framed key: %v", err)
	}
}

func TestFrameOfNewerFormatIsLeftAlone(t *testing.T) {
	s, c := prefixed(t, Options{}), raw(t)
	newer := "\xc1st\x02 whatever a later version writes"
	if err := c.Set(ctx, s.opts.Prefix+"k", newer, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, "k"); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("Get: %v", err)
	}
	if stored, err := s.Fill(ctx, "k", store.Entry{Version: 1 << 62}); stored || err != nil {
		t.Errorf("Fill over it: %v, %v; want it refused", stored, err)
	}
	if got := c.Get(ctx, s.opts.Prefix+"k").Val(); got != newer {
		t.Errorf("it became %q", got)
	}
}

func TestWrongTypeIsAnErrorAndIsNotOverwritten(t *testing.T) {
	for _, opts := range []Options{{}, {Wire: allPlain{}}} {
		s, c := prefixed(t, opts), raw(t)
		name := s.opts.Prefix + "hash"
		if err := c.HSet(ctx, name, "field", "value").Err(); err != nil {
			t.Fatal(err)
		}
		mustSet(t, s, "good", store.Entry{Value: []byte("v")})
		if _, err := s.Get(ctx, "hash"); !errors.Is(err, ErrWrongType) {
			t.Errorf("Get: %v", err)
		}
		for _, when := range []string{"at first", "after a batch that lacked values"} {
			many, err := s.GetMany(ctx, []string{"good", "hash", "absent"})
			if !errors.Is(store.KeyError(err, "hash"), ErrWrongType) {
				t.Errorf("GetMany %s: %v for the hash", when, store.KeyError(err, "hash"))
			}
			if store.KeyError(err, "good") != nil || store.KeyError(err, "absent") != nil || string(many["good"].Value) != "v" || len(many) != 1 {
				t.Errorf("GetMany %s beside it: %v, %v", when, many, err)
			}
		}
		stored, err := s.Fill(ctx, "hash", store.Entry{Value: []byte("v"), Version: 1})
		if stored || err != nil && !errors.Is(err, ErrWrongType) {
			t.Errorf("Fill: %v, %v", stored, err)
		}
		if kind := c.Type(ctx, name).Val(); kind != "hash" {
			t.Errorf("after Fill the key is a %s", kind)
		}
		mustSet(t, s, "hash", store.Entry{Value: []byte("v")})
		if got := mustGet(t, s, "hash"); string(got.Value) != "v" {
			t.Errorf("after Set: %q", got.Value)
		}
	}
}

func TestPlainFillStoresOnlyWhereThereIsNothing(t *testing.T) {
	s, c := prefixed(t, Options{Wire: allPlain{}}), raw(t)
	if err := c.Set(ctx, s.opts.Prefix+"k", "foreign", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if stored, err := s.Fill(ctx, "k", store.Entry{Value: []byte("load"), Version: 1 << 60}); stored || err != nil {
		t.Fatalf("Fill over a foreign value: %v, %v", stored, err)
	}
	if stored, err := s.Fill(ctx, "new", store.Entry{Value: []byte("load"), Expires: time.Now().Add(time.Minute)}); !stored || err != nil {
		t.Fatalf("Fill of an absent key: %v, %v", stored, err)
	}
	if ttl := c.PTTL(ctx, s.opts.Prefix+"new").Val(); ttl <= 50*time.Second || ttl > time.Minute {
		t.Fatalf("its TTL is %v", ttl)
	}
}

func TestShortAndAbsentLifetimesReachRedis(t *testing.T) {
	for _, opts := range []Options{{}, {Wire: allPlain{}}} {
		s, c := prefixed(t, opts), raw(t)
		write := map[string]func(key string, e store.Entry) error{
			"Set":     func(key string, e store.Entry) error { return s.Set(ctx, key, e) },
			"SetMany": func(key string, e store.Entry) error { return s.SetMany(ctx, map[string]store.Entry{key: e}) },
			"Fill":    func(key string, e store.Entry) error { _, err := s.Fill(ctx, key, e); return err },
		}
		for how, set := range write {
			for _, ttl := range []time.Duration{0, 400 * time.Microsecond, 400 * time.Millisecond, 1500 * time.Millisecond} {
				key := fmt.Sprint(how, ttl)
				e := store.Entry{Value: []byte("v")}
				if ttl > 0 {
					e.Expires = time.Now().Add(ttl)
				}
				if err := set(key, e); err != nil {
					t.Fatalf("%s with TTL %v: %v", how, ttl, err)
				}
				switch got := c.PTTL(ctx, s.opts.Prefix+key).Val(); {
				case ttl == 0 && got != noTTL:
					t.Errorf("%s without a deadline: PTTL %v", how, got)
				case ttl > 0 && (got == noTTL || got > ttl+time.Millisecond):
					t.Errorf("%s with TTL %v: PTTL %v", how, ttl, got)
				}
			}
		}
	}
}

func TestFramedDeadlines(t *testing.T) {
	s := prefixed(t, Options{})
	for _, ttl := range []time.Duration{700 * time.Millisecond, 1500 * time.Millisecond, 100 * time.Hour} {
		e := store.Entry{Expires: time.Now().Add(ttl), Fresh: time.Now().Add(ttl / 2)}
		mustSet(t, s, "k", e)
		if got := mustGet(t, s, "k"); e.Expires.Sub(got.Expires).Abs() > time.Microsecond || e.Fresh.Sub(got.Fresh).Abs() > time.Microsecond {
			t.Errorf("%v, %v came back as %v, %v", e.Expires, e.Fresh, got.Expires, got.Fresh)
		}
	}
}

func TestScriptsSurviveAnEmptyScriptCache(t *testing.T) {
	server := redistest.Start(t)
	s, err := New(server.Client(t), &Options{NewestWins: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if stored, err := s.Fill(ctx, "fill", store.Entry{Version: 1}); err != nil || !stored {
			t.Fatalf("Fill: %v, %v", stored, err)
		}
		if err := s.Delete(ctx, "fill"); err != nil {
			t.Fatal(err)
		}
		server.Do(t, "SCRIPT", "FLUSH")
		if err := s.SetMany(ctx, map[string]store.Entry{"a": {Version: 1}, "b": {Version: 1}, "c": {}}); err != nil {
			t.Fatalf("SetMany: %v", err)
		}
		server.Do(t, "SCRIPT", "FLUSH")
	}
}

func TestNewestWins(t *testing.T) {
	s := prefixed(t, Options{NewestWins: true})
	set := map[string]func(e store.Entry) error{
		"Set":     func(e store.Entry) error { return s.Set(ctx, "k", e) },
		"SetMany": func(e store.Entry) error { return s.SetMany(ctx, map[string]store.Entry{"k": e}) },
	}
	for how, set := range set {
		for _, c := range []struct {
			held, written uint64
			replaced      bool
		}{{5, 6, true}, {5, 5, true}, {5, 4, false}, {5, 0, true}, {0, 1, true}, {0, 0, true}, {1 << 63, 1<<63 - 1, false}} {
			if err := s.Delete(ctx, "k"); err != nil {
				t.Fatal(err)
			}
			for _, e := range []store.Entry{{Value: []byte("held"), Version: c.held}, {Value: []byte("new"), Version: c.written}} {
				if err := set(e); err != nil {
					t.Fatal(err)
				}
			}
			if got := string(mustGet(t, s, "k").Value); (got == "new") != c.replaced {
				t.Errorf("%s of version %d over %d: %q remains", how, c.written, c.held, got)
			}
		}
	}
}

// go-redis sends a script again when its answer was lost: the second run has to
// see that the first one stored the value.
func TestFillAgainOfTheSameEntryIsStored(t *testing.T) {
	s := prefixed(t, Options{})
	e := store.Entry{Value: []byte("v"), Version: 3}
	for range 2 {
		if stored, err := s.Fill(ctx, "k", e); !stored || err != nil {
			t.Fatalf("%v, %v", stored, err)
		}
	}
}

func TestScanAndClearKeepToThePrefix(t *testing.T) {
	c := raw(t)
	outer := redistest.Prefix()
	if err := c.MSet(ctx, outer+"[x]*?a", 1, outer+"xa", 1, outer+"[x]*?"+"b", 1, outer+"[x]yya", 1).Err(); err != nil {
		t.Fatal(err)
	}
	s := open(t, Options{Prefix: outer + "[x]*?"})
	mustSet(t, s, "mine", store.Entry{Value: []byte("v")})
	seen := map[string]bool{}
	for key, err := range s.Scan(ctx, "") {
		if err != nil {
			t.Fatal(err)
		}
		seen[key] = true
	}
	if len(seen) != 3 || !seen["a"] || !seen["b"] || !seen["mine"] {
		t.Errorf("Scan yields %v", seen)
	}
	if err := s.Clear(ctx); err != nil {
		t.Fatal(err)
	}
	if n := c.Exists(ctx, outer+"[x]*?a", outer+"[x]*?b", outer+"[x]*?mine").Val(); n != 0 {
		t.Errorf("Clear left %d keys", n)
	}
	if n := c.Exists(ctx, outer+"xa", outer+"[x]yya").Val(); n != 2 {
		t.Errorf("Clear removed keys outside of the prefix: %d of 2 remain", n)
	}
}

func TestClearWithoutPrefixIsRefused(t *testing.T) {
	server := redistest.Start(t)
	s, err := New(server.Client(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	mustSet(t, s, "k", store.Entry{Value: []byte("v")})
	if err := s.Clear(ctx); !errors.Is(err, errNoPrefix) {
		t.Fatalf("Clear: %v", err)
	}
	mustGet(t, s, "k")
	all, err := New(server.Client(t), &Options{AllowClearAll: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := all.Clear(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, "k"); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("after Clear: %v", err)
	}
}

func TestHugeValueIsRefusedBeforeSending(t *testing.T) {
	// No server is needed: nothing is sent.
	s, err := Open("redis://127.0.0.1:1", &Options{MaxValue: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	big := store.Entry{Value: make([]byte, 101)}
	if err := s.Set(ctx, "k", big); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("Set: %v", err)
	}
	if _, err := s.Fill(ctx, "k", big); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("Fill: %v", err)
	}
	if err := s.SetMany(ctx, map[string]store.Entry{"k": big}); !errors.Is(store.KeyError(err, "k"), store.ErrTooLarge) {
		t.Errorf("SetMany: %v", err)
	}
}

func TestBatchOfThousandsOfKeys(t *testing.T) {
	s := prefixed(t, Options{Wire: pricesPlain{}})
	entries, keys := map[string]store.Entry{}, []string{}
	for i := range 3000 {
		key := fmt.Sprintf("info:%d", i)
		if i%2 == 0 {
			key = fmt.Sprintf("price:%d", i)
		}
		keys = append(keys, key)
		entries[key] = store.Entry{Value: fmt.Append(nil, i), Expires: time.Now().Add(time.Hour)}
	}
	if err := s.SetMany(ctx, entries); err != nil {
		t.Fatal(err)
	}
	got, err := s.GetMany(ctx, keys)
	if err != nil || len(got) != len(keys) {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	for i, key := range keys {
		if string(got[key].Value) != fmt.Sprint(i) {
			t.Fatalf("%s = %q, want %d", key, got[key].Value, i)
		}
	}
	if err := s.DeleteMany(ctx, keys); err != nil {
		t.Fatal(err)
	}
	if got, err := s.GetMany(ctx, keys); err != nil || len(got) != 0 {
		t.Fatalf("after DeleteMany: %d entries, %v", len(got), err)
	}
}
