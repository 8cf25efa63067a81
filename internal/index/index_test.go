package index

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

type object struct {
	Header
	key string
	n   int
}

func found(t *Table, key string) *object {
	obj, _ := t.Find(t.Key(key))
	o, _ := obj.(*object)
	return o
}

func TestReadsAreReportedUntilOften(t *testing.T) {
	tab := New(16)
	o := &object{key: "k"}
	tab.Put(tab.Key("k"), o)
	reported := func() (n int) {
		for range 20 {
			obj, known := tab.Find(tab.Key("k"))
			if obj != o {
				t.Fatalf("Find = %v", obj)
			}
			if !known {
				n++
			}
		}
		return n
	}
	if n := reported(); n != Often {
		t.Errorf("%d reads of 20 were reported, want %d", n, Often)
	}
	tab.NextPeriod()
	if n, want := reported(), Often-Often/2; n != want {
		t.Errorf("in the next period %d reads were reported, want %d: the policy has halved what it knows", n, want)
	}
	for range 100 {
		tab.NextPeriod()
	}
	if n := reported(); n != Often {
		t.Errorf("after many periods %d reads were reported, want %d", n, Often)
	}
}

func TestWithdrawnIsNeverFoundAgain(t *testing.T) {
	tab := New(16)
	o := &object{key: "k"}
	tab.Put(tab.Key("k"), o)
	tab.Withdraw(tab.Key("k"))
	tab.Put(tab.Key("k"), o)
	tab.Restore(tab.Key("k"), o)
	if found(tab, "k") != nil || tab.Use(o) {
		t.Error("found after Withdraw")
	}
	early := &object{key: "k"}
	hash, _ := tab.Hashes("k")
	tab.DropObject(hash, early) // the engine dropped it before it was indexed
	tab.Put(tab.Key("k"), early)
	if found(tab, "k") != nil {
		t.Error("found although the engine has dropped it")
	}
	other := New(16)
	last := &object{key: "k"}
	tab.Put(tab.Key("k"), last)
	other.Put(other.Key("k"), last)
	if found(other, "k") != nil || found(tab, "k") != last {
		t.Error("an object is in two tables")
	}
	tab.Clear()
	if found(tab, "k") != nil {
		t.Error("found after Clear")
	}
}

// TestFullBucket: what is read often takes the place of what is not.
func TestFullBucket(t *testing.T) {
	tab := New(2) // room for fourteen
	objs := map[string]*object{}
	for i := range 100 {
		key := fmt.Sprint("k", i)
		objs[key] = &object{key: key}
		tab.Put(tab.Key(key), objs[key])
	}
	n := 0
	var lost *object
	for key, o := range objs {
		switch found(tab, key) {
		case o:
			n++
		case nil:
			lost = o
		default:
			t.Fatalf("%s: the object of another key", key)
		}
	}
	if n < slots || n > 2*slots {
		t.Fatalf("%d of 100 are found in a table of two buckets", n)
	}
	for i := 1; !tab.Use(lost); i++ {
		if i > Often {
			t.Fatal("Use never says that the object is read often")
		}
	}
	if tab.Use(lost) {
		t.Error("Use said so twice")
	}
	tab.Restore(tab.Key(lost.key), lost)
	if found(tab, lost.key) != lost {
		t.Error("an object that is read often has no place among those that are not")
	}
	tab.Restore(tab.Key(lost.key), lost)
	tab.Withdraw(tab.Key(lost.key))
	if found(tab, lost.key) != nil {
		t.Error("it was indexed twice")
	}
}

func TestForeignObjects(t *testing.T) {
	tab := New(2)
	tab.Put(tab.Key("k"), "a string")
	tab.DropObject(1, 5)
	tab.Restore(tab.Key("k"), nil)
	if obj, _ := tab.Find(tab.Key("k")); obj != nil || tab.Use([]int{1}) {
		t.Errorf("found %v", obj)
	}
}

// TestModel: a table answers with what was put last, or with nothing.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tab, now := New(rapid.Int64Range(1, 8).Draw(rt, "buckets")), map[string]*object{}
		for i := range rapid.IntRange(1, 200).Draw(rt, "operations") {
			key := fmt.Sprint("k", rapid.IntRange(0, 30).Draw(rt, "key"))
			switch rapid.SampledFrom([]string{"put", "put", "put", "find", "withdraw", "evict", "restore", "clear", "period"}).Draw(rt, "op") {
			case "put":
				tab.Withdraw(tab.Key(key))
				now[key] = &object{key: key, n: i}
				tab.Put(tab.Key(key), now[key])
			case "withdraw":
				tab.Withdraw(tab.Key(key))
				delete(now, key)
			case "evict":
				hash, _ := tab.Hashes(key)
				if o := now[key]; o != nil {
					tab.DropObject(hash, o)
				}
				delete(now, key)
			case "restore":
				if o := now[key]; o != nil && tab.Use(o) {
					tab.Restore(tab.Key(key), o)
				}
			case "clear":
				if i%20 == 0 {
					tab.Clear()
					clear(now)
				}
			case "period":
				tab.NextPeriod()
			}
			if got := found(tab, key); got != nil && got != now[key] {
				rt.Fatalf("%s: found %v, want %v", key, got, now[key])
			}
		}
	})
}

// TestReadersSeeNoOlderObject: one writer a key, readers, and an engine that drops.
func TestReadersSeeNoOlderObject(t *testing.T) {
	const keys, writes = 40, 3000
	tab := New(4)
	var latest [keys]atomic.Int64
	var stop atomic.Bool
	var readers, writers sync.WaitGroup
	name := func(k int) string { return fmt.Sprint("k", k) }
	for range 2 {
		readers.Go(func() {
			for k := 0; !stop.Load(); k = (k + 1) % keys {
				least := latest[k].Load()
				if o := found(tab, name(k)); o != nil && (o.key != name(k) || int64(o.n) < least) {
					t.Errorf("%s: found %s of write %d after write %d", name(k), o.key, o.n, least)
					return
				}
			}
		})
	}
	for w := range 2 {
		writers.Go(func() {
			for i := 1; i <= writes; i++ {
				k := (i*2 + w) % keys
				o := &object{key: name(k), n: i}
				tab.Withdraw(tab.Key(o.key))
				tab.Put(tab.Key(o.key), o)
				latest[k].Store(int64(i))
				if i%7 == 0 {
					hash, _ := tab.Hashes(o.key)
					tab.DropObject(hash, o)
				}
			}
		})
	}
	writers.Wait()
	stop.Store(true)
	readers.Wait()
}
