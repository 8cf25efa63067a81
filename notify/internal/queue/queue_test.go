package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

// drain pops all that is there: values as they are, gaps as "-n".
func drain(t *testing.T, q *Queue[string]) []string {
	t.Helper()
	var got []string
	for {
		v, missed, ok, err := q.tryPop()
		switch {
		case err != nil:
			t.Fatal(err)
		case !ok:
			return got
		case missed != 0:
			got = append(got, fmt.Sprintf("gap %d", missed))
		default:
			got = append(got, v)
		}
	}
}

func TestGapsAreWhereTheyHappened(t *testing.T) {
	for name, c := range map[string]struct {
		policy Policy
		do     func(q *Queue[string])
		want   []string
	}{
		"oldest go": {DropOldest, func(q *Queue[string]) { push(q, "a", "b", "c", "d", "e") }, []string{"gap 2", "c", "d", "e"}},
		"newest go": {DropNewest, func(q *Queue[string]) { push(q, "a", "b", "c", "d", "e") }, []string{"a", "b", "c", "gap 2"}},
		"newest go, then one more": {DropNewest, func(q *Queue[string]) {
			push(q, "a", "b", "c", "d")
			_, _, _, _ = q.tryPop()
			push(q, "e")
		}, []string{"b", "c", "gap 1", "e"}},
		"a mark between": {Block, func(q *Queue[string]) {
			push(q, "a")
			q.Mark(Unknown)
			push(q, "b")
		}, []string{"a", "gap -1", "b"}},
		"a mark alone": {Block, func(q *Queue[string]) { q.Mark(2) }, []string{"gap 2"}},
		"marks add up": {Block, func(q *Queue[string]) { q.Mark(2); q.Mark(3) }, []string{"gap 5"}},
		"unknown wins": {Block, func(q *Queue[string]) { q.Mark(2); q.Mark(Unknown); q.Mark(3) }, []string{"gap -1"}},
		"a dropped gap stays": {DropOldest, func(q *Queue[string]) {
			q.Mark(Unknown)
			push(q, "a", "b", "c", "d")
		}, []string{"gap -1", "b", "c", "d"}},
	} {
		q := New[string](3, c.policy)
		c.do(q)
		if got := drain(t, q); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	one := New[string](0, DropOldest)
	push(one, "a", "b", "c")
	if got := drain(t, one); !slices.Equal(got, []string{"gap 2", "c"}) {
		t.Errorf("capacity 1: %v", got)
	}
}

func push(q *Queue[string], values ...string) {
	for _, v := range values {
		if err := q.Push(ctx, v); err != nil {
			panic(err)
		}
	}
}

func TestBlockWaitsForRoomContextAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New[string](1, Block)
		push(q, "a")
		pushed := make(chan error)
		go func() { pushed <- q.Push(ctx, "b") }()
		synctest.Wait()
		select {
		case err := <-pushed:
			t.Fatalf("pushed into a full queue: %v", err)
		default:
		}
		if v, _, err := q.Pop(ctx); v != "a" || err != nil {
			t.Fatalf("%q, %v", v, err)
		}
		if err := <-pushed; err != nil {
			t.Fatal(err)
		}
		cancelled, cancel := context.WithCancel(ctx)
		go func() { pushed <- q.Push(cancelled, "c") }()
		synctest.Wait()
		cancel()
		if err := <-pushed; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		go func() { pushed <- q.Push(ctx, "d") }()
		synctest.Wait()
		q.Close()
		if err := <-pushed; !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
	})
}

func TestPopWaitsForValueContextAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := New[string](1, DropOldest)
		popped := make(chan error)
		pop := func(ctx context.Context) {
			_, _, err := q.Pop(ctx)
			popped <- err
		}
		go pop(ctx)
		synctest.Wait()
		push(q, "a")
		if err := <-popped; err != nil {
			t.Fatal(err)
		}
		cancelled, cancel := context.WithCancel(ctx)
		go pop(cancelled)
		synctest.Wait()
		cancel()
		if err := <-popped; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		go pop(ctx)
		synctest.Wait()
		q.Close()
		q.Close()
		if err := <-popped; !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
		if err := q.Push(ctx, "late"); !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
		<-q.Done()
	})
}

// Many writers and readers: with Block nothing is lost, repeated or stuck.
func TestNothingIsLostUnderLoad(t *testing.T) {
	const writers, each, readers = 8, 500, 4
	q := New[int](3, Block)
	var wg, rg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := q.Push(ctx, w*each+i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var mu sync.Mutex
	seen := map[int]int{}
	stop, cancel := context.WithCancel(ctx)
	for range readers {
		rg.Go(func() {
			for {
				v, missed, err := q.Pop(stop)
				if err != nil {
					return
				}
				mu.Lock()
				seen[v]++
				all := len(seen) == writers*each
				mu.Unlock()
				if missed != 0 {
					t.Errorf("%d missed", missed)
				}
				if all {
					cancel()
				}
			}
		})
	}
	wg.Wait()
	rg.Wait()
	cancel()
	for v, n := range seen {
		if n != 1 {
			t.Fatalf("%d came %d times", v, n)
		}
	}
}
