package chain

import (
	"time"

	"github.com/stratacache/strata/store"
)

// slot is the newest operation of a key that its tier has not taken yet.
type slot struct {
	key     string
	version uint64
	entry   store.Entry
	deleted bool    // a tombstone: the key is to be removed
	purge   bool    // this tier is to drop the key; others may hold it
	obj     held    // the decoded value, if at hand
	lazy    encoder // makes entry's value of obj; nil: it has been made
	room    int64   // bytes of that value, about
	rec     *record // its place in the journal; nil: it is not there
	at      int64   // when the operation was made, Unix nanoseconds
	since   int64   // when the oldest that this slot stands for was made

	// What follows is the queue's own.
	busy     bool   // on its way to the tier
	gone     uint64 // settled up to this version while it was on its way
	alone    bool   // to be sent by itself: it failed, and the tier could not say why
	replayed bool   // from the journal: the tier may have something newer
	told     bool   // reported as a dead letter
	failures int    // in a row
	attempts int    // failures while the tier took others
	seen     uint64 // the queue's successes at the last failure
	due      int64  // not to be tried again before; Unix nanoseconds
	err      error  // of the last attempt

	list       *slotList
	prev, next *slot
}

// slotOverhead is charged for each slot beside its key and value.
const slotOverhead = 400

// removes reports whether a tier of a cache is to remove the key: what it may
// hold of it is older than the slot.
func (s *slot) removes(now time.Time) bool {
	return s.deleted || s.purge || s.entry.Expired(now)
}

func (s *slot) size() int64 {
	return int64(len(s.key)) + s.valueSize() + slotOverhead
}

func (s *slot) valueSize() int64 {
	if s.lazy != nil {
		return s.room
	}
	return int64(len(s.entry.Value))
}

// encode makes the value that was left for later. It is called on copies, without
// the queue's lock.
func (s *slot) encode() {
	if s.lazy != nil {
		s.entry.Value, s.lazy = s.lazy.encodeObject(s.key, s.obj), nil
	}
}

// prior is what a slot held before an operation took it over: obj is nil where it
// held no value, or there was no slot.
type prior struct {
	obj     held
	version uint64
}

// slotList is a doubly linked list of slots.
type slotList struct {
	first, last *slot
	n           int
}

func (l *slotList) pushBack(s *slot) {
	s.list, s.prev, s.next = l, l.last, nil
	if l.last == nil {
		l.first = s
	} else {
		l.last.next = s
	}
	l.last = s
	l.n++
}

func (l *slotList) pushFront(s *slot) {
	s.list, s.prev, s.next = l, nil, l.first
	if l.first == nil {
		l.last = s
	} else {
		l.first.prev = s
	}
	l.first = s
	l.n++
}

func (s *slot) unlink() {
	l := s.list
	if s.prev == nil {
		l.first = s.next
	} else {
		s.prev.next = s.next
	}
	if s.next == nil {
		l.last = s.prev
	} else {
		s.next.prev = s.prev
	}
	l.n--
	s.list, s.prev, s.next = nil, nil, nil
}
