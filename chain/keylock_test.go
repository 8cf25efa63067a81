package chain

import (
	"context"
	"fmt"
	"hash/maphash"
	"testing"
)

// A lock that is used again for another key knows nothing of the first.
func TestLockOfTheNextKey(t *testing.T) {
	l := &keyLocks{seed: maphash.MakeSeed()}
	first := l.ref("first")
	if err := first.lock(context.Background()); err != nil {
		t.Fatal(err)
	}
	first.last = 7
	l.heard("first", 9)
	l.saw("first", 11, 13)
	first.unlock()
	s := l.shard("first")
	if s.spare != first {
		t.Fatal("the lock was not kept")
	}
	for i := range 100_000 {
		key := fmt.Sprint(i)
		if l.shard(key) != s {
			continue
		}
		next := l.ref(key)
		if next != first || *next != (keyLock{owner: l, key: key, refs: 1, token: next.token}) {
			t.Errorf("the lock of the next key: %+v", next)
		}
		if other := l.ref("first"); other == next {
			t.Error("two keys have one lock")
		} else {
			other.drop()
		}
		next.drop()
		if len(s.locks) != 0 {
			t.Errorf("%d locks are left", len(s.locks))
		}
		return
	}
	t.Fatal("no other key of the shard was found")
}
