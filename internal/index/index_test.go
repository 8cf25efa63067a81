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

// put claims and puts o, as if what was there had not been read.
func put(t *Table, key string, o any) {
	if h := t.Claim(t.Key(key), o); h != nil {
		t.Put(t.Key(key), h, fresh)
	}
}

func found(t *Table, key string) *object {
	obj := t.Find(t.Key(key))
	o, _ := obj.(*object)
	return o
}

// untold counts the reads of which the policy is told when somebody looks at all
// buckets, and returns the longest time without a use that he sees.
func untold(t *Table) (reads int, idle uint64) {
	for i := range t.Buckets() {
		t.Look(i, func(h *Header, since uint64) {
			if h.Untold() {
				reads++
			}
			idle = max(idle, since)
		})
	}
	return reads, idle
}

func TestReadIsToldOnceAnEpoch(t *testing.T) {
	tab := New(16)
	put(tab, "k", &object{key: "k"})
	if n, idle := untold(tab); n != 0 || idle != 1 {
		t.Fatalf("of what nobody has read %d reads are told, and it is idle for %d epochs", n, idle)
	}
	for epoch := range 3 {
		for range 20 {
			if found(tab, "k") == nil {
				t.Fatal("not found")
			}
		}
		if n, idle := untold(tab); n != 1 || idle != 0 {
			t.Errorf("epoch %d: %d reads are told, idle %d; want 1, 0", epoch, n, idle)
		}
		found(tab, "k")
		if n, _ := untold(tab); n != 0 {
			t.Errorf("epoch %d: a second look tells of %d reads", epoch, n)
		}
		tab.NextEpoch()
	}
	found(tab, "k")
	for range 5 {
		tab.NextEpoch()
	}
	if n, idle := untold(tab); n != 1 || idle != 5 {
		t.Errorf("five epochs later %d reads are told, idle %d", n, idle)
	}
}

// TestReadsOutliveTheObject: the policy knows keys, not objects.
func TestReadsOutliveTheObject(t *testing.T) {
	tab := New(16)
	k, older, newer := tab.Key("k"), &object{}, &object{}
	tab.Put(k, tab.Claim(k, older), fresh)
	tab.Find(k)
	h := tab.Claim(k, newer)
	old, uses := tab.Withdraw(k)
	if old != &older.Header || uses != first<<1 {
		t.Fatalf("Withdraw = %p, %d", old, uses)
	}
	tab.Put(k, h, uses)
	if n, idle := untold(tab); n != 1 || idle != 0 {
		t.Errorf("%d reads of the older object are told, idle %d; want 1, 0", n, idle)
	}
	for range 7 {
		tab.NextEpoch()
	}
	_, uses = tab.Withdraw(k)
	last := &object{}
	tab.Put(k, tab.Claim(k, last), uses)
	if n, idle := untold(tab); n != 0 || idle != 1 {
		t.Errorf("after a write %d reads are told, idle %d; want none told twice, and a use in the epoch before", n, idle)
	}
	if tab.Find(k) != last {
		t.Error("not found")
	}
	if n, _ := untold(tab); n != 1 {
		t.Errorf("%d reads of what was just written are told", n)
	}
	tab.Drop(k.Hash, &last.Header)
	if h, uses := tab.Withdraw(k); h != nil || uses != fresh {
		t.Errorf("after a drop, Withdraw = %p, %d", h, uses)
	}
}

func TestCell(t *testing.T) {
	tab := New(16)
	k := tab.Key("k")
	claim := func(n int) *Header { return tab.Claim(k, &object{n: n}) }
	c := NewCell(claim(1), k.Hash, 800)
	for cost, want := range map[int64]bool{800: true, 801: false, 700: true, 699: false, 0: false} {
		if c.Suits(cost) != want {
			t.Errorf("Suits(%d) = %v", cost, !want)
		}
	}
	h := claim(2)
	if o := c.Object(k).(*object); o.n != 1 || !c.Exchange(h) || h.Cell() != c || c.Object(k).(*object).n != 2 {
		t.Errorf("exchanged %+v for %+v", o, c.Object(k))
	}
	if c.Gone() || c.Replaced() || c.Drop() != h || !c.Gone() {
		t.Error("Drop does not say what there was")
	}
	if late := claim(3); c.Exchange(late) || late.Cell() != nil || c.Object(k) != nil || c.Drop() != nil {
		t.Error("an object was put into a cell that the engine has dropped")
	}
	c = NewCell(claim(6), k.Hash, 0)
	if c.Hash() != k.Hash || c.Object(Key{k.Hash, k.Check + 1}) != nil || c.Object(k) == nil || (*Cell)(nil).Object(k) != nil {
		t.Error("a cell answers for another key of the same hash, or not for its own")
	}
	h = claim(7)
	if was := c.head.Load(); !c.Exchange(h) || c.DropOnly(was) || c.Gone() || !c.DropOnly(h) || !c.Gone() {
		t.Error("DropOnly drops another object, or not the one it is told")
	}
	if c.Replace(); c.Replaced() || !c.Gone() {
		t.Error("what was dropped counts as replaced")
	}
	c = NewCell(claim(4), k.Hash, 0)
	if c.Replace(); !c.Replaced() || c.Drop() != nil || !c.Gone() || c.Exchange(claim(5)) || c.Object(k) != nil {
		t.Error("what was replaced is still there")
	}
}

// TestCellGoesOnce: of an exchange and a drop at the same time, one knows of the other.
func TestCellGoesOnce(t *testing.T) {
	tab := New(16)
	k := tab.Key("k")
	for i := range 2000 {
		first, second := tab.Claim(k, &object{n: i}), tab.Claim(k, &object{n: -i})
		c := NewCell(first, k.Hash, 1)
		var got *Header
		var wg sync.WaitGroup
		wg.Go(func() { got = c.Drop() })
		exchanged := c.Exchange(second)
		wg.Wait()
		if want := map[bool]*Header{true: second, false: first}[exchanged]; got != want || !c.Gone() {
			t.Fatalf("the exchange says %v, the drop had another", exchanged)
		}
	}
}

func TestWithdrawnIsNeverFoundAgain(t *testing.T) {
	tab := New(16)
	o := &object{key: "k"}
	put(tab, "k", o)
	tab.Withdraw(tab.Key("k"))
	put(tab, "k", o)
	tab.Restore(tab.Key("k"), o)
	if found(tab, "k") != nil || tab.Use(o) {
		t.Error("found after Withdraw")
	}
	early := &object{key: "k"}
	k := tab.Key("k")
	h := tab.Claim(k, early)
	tab.Drop(k.Hash, h) // the engine dropped it before it was indexed
	tab.Put(k, h, fresh)
	if found(tab, "k") != nil {
		t.Error("found although the engine has dropped it")
	}
	other := New(16)
	last := &object{key: "k"}
	put(tab, "k", last)
	put(other, "k", last)
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
		put(tab, key, objs[key])
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
	if !tab.Use(lost) || tab.Use(lost) {
		t.Error("Use does not say which read is the first of an epoch")
	}
	tab.Restore(tab.Key(lost.key), lost)
	if found(tab, lost.key) != nil {
		t.Error("an object took the place of one that was read in the same epoch")
	}
	tab.NextEpoch()
	if !tab.Use(lost) {
		t.Error("Use does not say that there is a new epoch")
	}
	tab.Restore(tab.Key(lost.key), lost)
	if found(tab, lost.key) != lost {
		t.Error("an object that is read has no place among those that were read before")
	}
	tab.Restore(tab.Key(lost.key), lost)
	tab.Withdraw(tab.Key(lost.key))
	if found(tab, lost.key) != nil {
		t.Error("it was indexed twice")
	}
}

func TestForeignObjects(t *testing.T) {
	tab := New(2)
	put(tab, "k", "a string")
	put(tab, "k", struct { // whose header is elsewhere
		*object
		n int
	}{&object{}, 1})
	put(tab, "k", struct{ *Header }{})
	tab.Restore(tab.Key("k"), nil)
	if obj := tab.Find(tab.Key("k")); obj != nil || tab.Use([]int{1}) {
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
				put(tab, key, now[key])
			case "withdraw":
				tab.Withdraw(tab.Key(key))
				delete(now, key)
			case "evict":
				if o := now[key]; o != nil {
					tab.Drop(tab.Key(key).Hash, &o.Header)
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
				tab.NextEpoch()
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
				put(tab, o.key, o)
				latest[k].Store(int64(i))
				if i%7 == 0 {
					tab.Drop(tab.Key(o.key).Hash, &o.Header)
				}
			}
		})
	}
	writers.Wait()
	stop.Store(true)
	readers.Wait()
}
