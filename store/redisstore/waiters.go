package redisstore

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// signal is what wakes a waiter.
type signal bool

const (
	ended signal = true  // a lease of the key has ended
	heard signal = false // the subscription is there (again): a message may have been missed
)

// waiters are those of this process who wait for leases to end. They share one
// subscription, which lives while there are any.
type waiters struct {
	mu     sync.Mutex
	byKey  map[string]map[chan signal]bool
	n      int
	pubsub *redis.PubSub
	done   sync.WaitGroup
}

// join returns a channel of signals about key, of which the latest is kept, and a
// function to be called when the wait is over.
func (w *waiters) join(s *Store, key string) (signals <-chan signal, leave func()) {
	ch := make(chan signal, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byKey == nil {
		w.byKey = make(map[string]map[chan signal]bool)
	}
	if w.byKey[key] == nil {
		w.byKey[key] = make(map[chan signal]bool)
	}
	w.byKey[key][ch] = true
	if w.n++; w.n == 1 {
		w.pubsub = s.client.Subscribe(context.Background(), s.channel())
		messages := w.pubsub.ChannelWithSubscriptions()
		w.done.Go(func() {
			for m := range messages {
				w.hear(m)
			}
		})
	}
	return ch, func() { w.leave(key, ch) }
}

func (w *waiters) leave(key string, ch chan signal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.byKey[key], ch)
	if len(w.byKey[key]) == 0 {
		delete(w.byKey, key)
	}
	if w.n--; w.n == 0 {
		_ = w.pubsub.Close() // ends its goroutine too
		w.pubsub = nil
	}
}

// hear wakes those whom a message concerns.
func (w *waiters) hear(m any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch m := m.(type) {
	case *redis.Message:
		for ch := range w.byKey[m.Payload] {
			put(ch, ended)
		}
	case *redis.Subscription:
		for _, set := range w.byKey {
			for ch := range set {
				put(ch, heard)
			}
		}
	}
}

// put leaves a signal in a channel of one place; that a lease has ended is not
// overwritten.
func put(ch chan signal, s signal) {
	for {
		select {
		case ch <- s:
			return
		default:
		}
		select {
		case old := <-ch:
			s = s || old
		default:
		}
	}
}

// wait returns once the goroutines of ended subscriptions have ended.
func (w *waiters) wait() { w.done.Wait() }
