package serve

import (
	"errors"
	"time"
	"unsafe"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
)

// text is b as a string for the time of a call that does not keep it.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// get returns the entry of key; ok is false without one. An error has been
// answered where failed is set.
func (c *conn) get(key []byte) (e store.Entry, ok bool, err error) {
	e, err = c.s.store.Get(c.s.ctx, string(key))
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrInvalidKey):
		return store.Entry{}, false, nil
	case err != nil:
		return store.Entry{}, false, err
	}
	if e.Stale(time.Now()) {
		return store.Entry{}, false, nil
	}
	return e, true, nil
}

// value returns the value of key, which is good until the next command, with as
// little ado as may be.
func (c *conn) value(key []byte) (v []byte, ok bool, err error) {
	if v, ok = c.near(key); ok {
		return v, true, nil
	}
	e, ok, err := c.get(key)
	return e.Value, ok, err
}

// near is value for what memory holds, and needs no thought.
func (c *conn) near(key []byte) (v []byte, ok bool) {
	if v, c.val, ok = c.s.peek.Peek(text(key), c.val[:0]); !ok && cap(c.val) > maxOut {
		c.val = nil
	}
	return v, ok
}

// exists reports whether key has a value.
func (c *conn) exists(key []byte) (bool, error) {
	_, ok, err := c.value(key)
	return ok, err
}

// life says what becomes of a value's deadline.
type life struct {
	at   int64 // Unix milliseconds; 0: none was given
	keep bool  // as it was
	ever bool  // none, whatever the rule says
}

// put stores a copy of value under key. The stripe is held. old is what was there, if it
// matters to the deadline.
func (c *conn) put(st *stripe, key, value []byte, l life, old *store.Entry) error {
	e := store.Entry{Value: value}
	switch {
	case l.at != 0:
		e.Expires = time.UnixMilli(l.at)
	case l.ever, l.keep && old != nil && old.Expires.IsZero():
		e.Expires = chain.NoExpiry
	case l.keep && old != nil:
		e.Expires, e.Fresh = old.Expires, old.Fresh
	}
	st.touch(key)
	return refusal(c.s.peek.SetCopy(c.s.ctx, text(key), e))
}

// remove deletes key. The stripe is held.
func (c *conn) remove(st *stripe, key []byte) error {
	st.touch(key)
	return c.s.store.Delete(c.s.ctx, string(key))
}

// deadline is when the entry ends for clients, in Unix milliseconds; 0 is never.
func deadline(e *store.Entry) int64 {
	t := e.FreshUntil()
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// refusal says what a client must know of a write that failed.
func refusal(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrTooLarge):
		return errors.New("value is larger than a tier takes")
	case errors.Is(err, store.ErrInvalidKey):
		return errors.New("the empty key and keys that begin with __strata: are not supported")
	}
	return err
}
