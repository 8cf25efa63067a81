package chain

import (
	"errors"
	"hash/maphash"
	"reflect"
	"testing"
)

// TestFlightsOfOneKey: readers of other types, and with and without a loader, do not
// share; a write detaches those that began before it, and no other.
func TestFlightsOfOneKey(t *testing.T) {
	c := &Chain{}
	c.flights.seed = maphash.MakeSeed()
	fs := &c.flights
	keys := []flightKey{
		{"k", reflect.TypeFor[int](), false}, {"k", reflect.TypeFor[int](), true}, {"k", reflect.TypeFor[string](), true},
	}
	var all []*flight
	for i, k := range keys {
		f, leader := fs.claim(k, c)
		if again, second := fs.claim(k, c); !leader || second || again != f {
			t.Fatalf("%d: leads %v, then %v", i, leader, second)
		}
		all = append(all, f)
	}
	if n := fs.n.Load(); n != 3 {
		t.Fatalf("%d flights, want 3", n)
	}
	fs.remove(all[1])
	fs.remove(all[1])
	fs.forget("k", all[2].stamp)
	if f, leader := fs.claim(keys[2], c); leader || f != all[2] || fs.n.Load() != 1 {
		t.Errorf("of three, the removed and the older one gone: leads %v, %d flights", leader, fs.n.Load())
	}
	fs.forgetAll()
	if f, leader := fs.claim(keys[2], c); !leader || f == all[2] || fs.n.Load() != 1 {
		t.Errorf("after forgetAll: leads %v, %d flights", leader, fs.n.Load())
	}
	fs.land(all[2], nil, nil) // does not take the new one away
	if _, leader := fs.claim(keys[2], c); leader {
		t.Error("a flight that was detached has taken its successor with it")
	}
}

// TestWaitingForAFlight: the channels exist from the first wait on, and say what
// has happened before, too.
func TestWaitingForAFlight(t *testing.T) {
	c, failure := &Chain{}, errors.New("failed")
	c.flights.seed = maphash.MakeSeed()
	is := func(what string, ch <-chan struct{}, closed bool) {
		t.Helper()
		select {
		case <-ch:
			if !closed {
				t.Errorf("%s: closed", what)
			}
		default:
			if closed {
				t.Errorf("%s: open", what)
			}
		}
	}
	for _, early := range []bool{true, false} {
		f, _ := c.flights.claim(flightKey{key: "k"}, c)
		var done, news <-chan struct{}
		if early {
			done, news = f.wait(false), f.wait(true)
			is("news", news, false)
		}
		f.offer(1)
		f.offer(2)
		if early {
			is("news after an offer", news, true)
		}
		is("done after an offer", f.wait(false), false)
		is("news later", f.wait(true), true)
		c.flights.publish(f, nil, failure)
		c.flights.land(f, 3, nil)
		if early {
			is("done", done, true)
		}
		is("done later", f.wait(false), true)
		if !f.landed() || f.obj != nil || !errors.Is(f.err, failure) {
			t.Errorf("landed with %v, %v", f.obj, f.err)
		}
		if g, leader := c.flights.claim(flightKey{key: "k"}, c); leader || g != f {
			t.Error("what was published only is no longer found")
		}
		c.flights.remove(f)
	}
}
