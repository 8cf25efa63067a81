package chain

import (
	"context"
	"encoding/binary"
	"errors"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
)

func FuzzParseOp(f *testing.F) {
	l := logged{key: "price:AAPL", tiers: []string{"redis", "disk"}, at: 1e18, entry: store.Entry{Version: 7 << 16, Tags: []string{"a"}, Codec: "json"}}
	f.Add(append(appendOp(nil, &l), "190.5"...))
	l.deleted = true
	f.Add(appendOp(nil, &l))
	f.Add(appendAck(nil, "redis", []uint64{3, 1, 900}))
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, p []byte) {
		if l, err := parseOp(p); err == nil {
			again, err := parseOp(append(appendOp(nil, &l), l.entry.Value...))
			if err != nil || !reflect.DeepEqual(again, l) {
				t.Errorf("%+v encodes to %+v, %v", l, again, err)
			}
		}
		if v, err := parseClock(p); err == nil {
			if again, err := parseClock(binary.AppendUvarint(nil, v)); err != nil || again != v {
				t.Errorf("clock %d encodes to %d, %v", v, again, err)
			}
		}
		if tier, seqs, err := parseAck(p); err == nil {
			again, back, err := parseAck(appendAck(nil, tier, append([]uint64(nil), seqs...)))
			if err != nil || again != tier || len(back) != len(seqs) {
				t.Errorf("ack %q %v encodes to %q %v, %v", tier, seqs, again, back, err)
			}
		}
	})
}

// sinkhole is a tier that takes nothing while shut.
type sinkhole struct {
	sinkStore
	open atomic.Bool
	m    map[string]Write
}

func (s *sinkhole) WriteMany(_ context.Context, writes []Write) error {
	if !s.open.Load() {
		return errors.New("shut")
	}
	for _, w := range writes {
		s.m[w.Key] = w
	}
	return nil
}

// A sync that fails makes the Set fail, and what it wrote is not seen; the journal
// recovers, and what was acknowledged before and after is replayed.
func TestFailedSync(t *testing.T) {
	mem := vfs.Mem()
	var broken atomic.Bool
	boom := errors.New("input/output error")
	fsys := vfs.Faulty(mem, func(c vfs.Call) error {
		if broken.Load() && c.Op == vfs.OpSync {
			return boom
		}
		return nil
	})
	set, err := policy.Parse([]byte("rules: [{keys: '*', ttl: 1h, write: back, durable: true}]"))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	open := func() (*Chain, *Cache[string], *sinkhole) {
		s := &sinkhole{m: map[string]Write{}}
		c, err := New([]Tier{{Name: "db", Store: FromSink(s)}}, set, &Options{Pending: PendingOptions{
			Journal: "journal", journalFS: fsys, RetryMin: time.Millisecond, RetryMax: 2 * time.Millisecond,
		}})
		if err != nil {
			t.Fatal(err)
		}
		return c, NewCache[string](c, nil), s
	}
	c, cache, _ := open()
	if err := cache.Set(ctx, "a", "before"); err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	err = cache.Set(ctx, "a", "failed")
	var se *store.Error
	if !errors.Is(err, boom) || !errors.As(err, &se) || se.Tier != "journal" {
		t.Errorf("a Set whose sync failed: %v", err)
	}
	if err := cache.SetMany(ctx, map[string]string{"b": "failed", "c": "failed"}); err == nil {
		t.Error("a SetMany whose sync failed returned nil")
	}
	if v, err := cache.Get(ctx, "a"); err != nil || v != "before" {
		t.Errorf("after a failed Set: %q, %v", v, err)
	}
	broken.Store(false)
	deadline := time.Now().Add(10 * time.Second)
	for cache.Set(ctx, "d", "after") != nil && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_ = c.Close(ended)
	c, cache, s := open()
	for key, value := range map[string]string{"a": "before", "d": "after"} {
		if v, err := cache.Get(ctx, key); err != nil || v != value {
			t.Errorf("%s after a restart: %q, %v; want %q", key, v, err, value)
		}
	}
	s.open.Store(true)
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
	if string(s.m["a"].Entry.Value) != "before" || string(s.m["d"].Entry.Value) != "after" {
		t.Errorf("the sink has %v", s.m)
	}
}
