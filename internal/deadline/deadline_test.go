package deadline

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// TestLimit: whichever of its methods is used to find out, a context ends within the
// last sixteenth of its limit.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(context.Background())
		defer cancel()
		l := NewLimit(16 * time.Second)
		marks := map[time.Time]bool{}
		for range 64 {
			now := time.Now()
			c := l.Context(parent, now)
			at, ok := c.Deadline()
			if left := at.Sub(now); !ok || left <= 15*time.Second || left > 16*time.Second {
				t.Fatalf("a limit of 16 s leaves %v", left)
			}
			marks[at] = true
			c.Cancel()
			time.Sleep(time.Second / 4)
		}
		if len(marks) != 16 {
			t.Errorf("calls of 16 s have %d ends, want 16", len(marks))
		}
		for name, ends := range map[string]func(c *Context){
			"Done":      func(c *Context) { <-c.Done() },
			"Ends":      func(c *Context) { _, late := Ends(c); <-late; <-c.Done() },
			"Err":       func(c *Context) { time.Sleep(16*time.Second + 1) },
			"a derived": func(c *Context) { d, cancel := context.WithCancel(c); defer cancel(); <-d.Done() },
		} {
			start := time.Now()
			c := l.Context(parent, start)
			ends(c)
			for range 2 { // and it stays so
				if took := time.Since(start); !errors.Is(c.Err(), context.DeadlineExceeded) || !closed(c.Done()) || took <= 15*time.Second || took > 17*time.Second {
					t.Errorf("%s: after %v: %v, done %v", name, took, c.Err(), closed(c.Done()))
				}
			}
			c.Cancel()
		}
	})
}

// TestEarlierEnds: what is above a context ends it, and so does Cancel.
func TestEarlierEnds(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		l := NewLimit(time.Minute)
		parent, leave := context.WithTimeout(context.WithValue(context.Background(), key{}, "v"), time.Second)
		defer leave()
		asked, untouched := l.Context(parent, time.Now()), l.Context(parent, time.Now())
		if at, ok := asked.Deadline(); !ok || time.Until(at) != time.Second {
			t.Errorf("the deadline above is %v away", time.Until(at))
		}
		near, cancel := context.WithTimeout(asked, time.Millisecond)
		defer cancel()
		if <-near.Done(); asked.Err() != nil || asked.Value(key{}) != "v" {
			t.Errorf("a derived context has ended the one above: %v; value %v", asked.Err(), asked.Value(key{}))
		}
		left, late := Ends(untouched)
		<-left
		for name, c := range map[string]*Context{"asked": asked, "not asked": untouched} {
			if !errors.Is(c.Err(), context.DeadlineExceeded) || !closed(c.Done()) || closed(late) {
				t.Errorf("%s, after the end above: %v, done %v", name, c.Err(), closed(c.Done()))
			}
		}

		asked, untouched = l.Context(context.Background(), time.Now()), l.Context(context.Background(), time.Now())
		child, stop := context.WithCancel(asked)
		defer stop()
		asked.Cancel()
		untouched.Cancel()
		for name, ctx := range map[string]context.Context{"asked": asked, "not asked": untouched, "derived": child} {
			if !errors.Is(ctx.Err(), context.Canceled) || !closed(ctx.Done()) {
				t.Errorf("%s, after Cancel: %v, done %v", name, ctx.Err(), closed(ctx.Done()))
			}
		}
		if a, b := Ends(context.Background()); a != nil || b != nil {
			t.Error("a context that does not end has channels")
		}
	})
}

// TestManyAtOnce: those who come at the same moment share an end, too.
func TestManyAtOnce(t *testing.T) {
	l := NewLimit(time.Hour)
	now := time.Now()
	ends := make([]time.Time, 100)
	var wg sync.WaitGroup
	for i := range ends {
		wg.Go(func() { ends[i], _ = l.Context(context.Background(), now).Deadline() })
	}
	wg.Wait()
	for _, at := range ends {
		if !at.Equal(ends[0]) {
			t.Fatalf("ends %v and %v", at, ends[0])
		}
	}
}

func BenchmarkContext(b *testing.B) {
	parent, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.Run("impl=shared", func(b *testing.B) {
		l := NewLimit(time.Second)
		for b.Loop() {
			c := l.Context(parent, time.Now())
			Ends(c)
			c.Cancel()
		}
	})
	b.Run("impl=own", func(b *testing.B) {
		for b.Loop() {
			c, cancel := context.WithDeadline(parent, time.Now().Add(time.Second))
			c.Done()
			cancel()
		}
	})
}
