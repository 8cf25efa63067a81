// Package queue is the bounded buffer of a subscription. It keeps the place of
// what was lost: the reader learns of a gap exactly where it is.
package queue

import (
	"context"
	"errors"
	"sync"
)

// ErrClosed is returned by calls on a closed queue.
var ErrClosed = errors.New("notify: subscription closed")

// Policy says what Push does when the queue is full.
type Policy int

// The policies.
const (
	DropOldest Policy = iota
	DropNewest
	Block
)

// Unknown is the size of a gap that nobody knows.
const Unknown = -1

// item is a value and the number of lost ones before it.
type item[T any] struct {
	value  T
	missed int
}

// Queue is a bounded first-in first-out buffer, safe for concurrent use.
type Queue[T any] struct {
	policy Policy
	ready  chan struct{} // a token: something may be there to pop
	room   chan struct{} // a token: there may be room to push
	done   chan struct{}

	mu     sync.Mutex
	ring   []item[T]
	head   int
	n      int
	missed int // lost after the last item
	closed bool
}

// New returns a queue of the given capacity, which is 1 at least.
func New[T any](capacity int, policy Policy) *Queue[T] {
	return &Queue[T]{
		policy: policy,
		ring:   make([]item[T], max(capacity, 1)),
		ready:  make(chan struct{}, 1),
		room:   make(chan struct{}, 1),
		done:   make(chan struct{}),
	}
}

// Push appends v. Where the queue is full it does what the policy says; only
// Block waits, until ctx ends or the queue is closed, and v is not queued then.
func (q *Queue[T]) Push(ctx context.Context, v T) error {
	for {
		pushed, err := q.tryPush(v)
		if pushed || err != nil {
			return err
		}
		select {
		case <-q.room:
		case <-q.done:
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (q *Queue[T]) tryPush(v T) (pushed bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false, ErrClosed
	}
	if q.n == len(q.ring) {
		switch q.policy {
		case Block:
			return false, nil
		case DropNewest:
			q.missed = add(q.missed, 1)
			return true, nil
		case DropOldest:
			q.dropHead()
		}
	}
	q.ring[(q.head+q.n)%len(q.ring)] = item[T]{v, q.missed}
	q.missed = 0
	q.n++
	wake(q.ready)
	if q.n < len(q.ring) {
		wake(q.room) // for the next one who waits
	}
	return true, nil
}

// dropHead drops the oldest item and counts it as missed before its successor.
func (q *Queue[T]) dropHead() {
	lost := add(q.ring[q.head].missed, 1)
	q.ring[q.head] = item[T]{}
	q.head = (q.head + 1) % len(q.ring)
	q.n--
	if q.n > 0 {
		q.ring[q.head].missed = add(q.ring[q.head].missed, lost)
		return
	}
	q.missed = add(lost, q.missed)
}

// Mark notes that n values were lost after what was pushed so far, or Unknown.
func (q *Queue[T]) Mark(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.missed = add(q.missed, n)
	wake(q.ready)
}

// Pop returns the oldest value, or, where values were lost before it, their
// number (or Unknown) and no value. It waits until there is one or the other.
func (q *Queue[T]) Pop(ctx context.Context) (v T, missed int, err error) {
	for {
		v, missed, ok, err := q.tryPop()
		if ok || err != nil {
			return v, missed, err
		}
		select {
		case <-q.ready:
		case <-q.done:
			return v, 0, ErrClosed
		case <-ctx.Done():
			return v, 0, ctx.Err()
		}
	}
}

func (q *Queue[T]) tryPop() (v T, missed int, ok bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return v, 0, false, ErrClosed
	}
	if q.n == 0 {
		missed, q.missed = q.missed, 0
		return v, missed, missed != 0, nil
	}
	first := &q.ring[q.head]
	if first.missed != 0 {
		missed, first.missed = first.missed, 0
		wake(q.ready) // the value itself is still to pop
		return v, missed, true, nil
	}
	v = first.value
	*first = item[T]{}
	q.head = (q.head + 1) % len(q.ring)
	q.n--
	wake(q.room)
	if q.n > 0 || q.missed != 0 {
		wake(q.ready) // for another reader
	}
	return v, 0, true, nil
}

// Close makes every call return ErrClosed. What is queued is dropped.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed = true
		q.ring, q.n = nil, 0
		close(q.done)
	}
}

// Done is closed by Close.
func (q *Queue[T]) Done() <-chan struct{} { return q.done }

// add adds sizes of gaps.
func add(a, b int) int {
	if a == Unknown || b == Unknown {
		return Unknown
	}
	return a + b
}

// wake puts a token into c if none is there.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
