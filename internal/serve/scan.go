package serve

import (
	"cmp"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stratacache/strata/internal/resp"
)

// A cursor of SCAN is a place in the order of the keys' hashes, so that it needs
// no memory of whose it is: a key that is there all the time is met whatever list
// of keys a page is read from, provided that the list is not older than the first
// page. The list is made at the first page and kept for those that follow.

// snapshots keep the last list of keys.
type snapshots struct {
	mu   sync.Mutex
	keys []hashed // by hash
	at   time.Time
}

type hashed struct {
	hash uint64
	key  string
}

// keepKeys is how long a list is kept that nobody reads on from.
const keepKeys = time.Minute

var scanSeed = maphash.MakeSeed()

// list returns the keys by their hash, as they were at since or later.
func (s *Server) list(since time.Time) ([]hashed, error) {
	s.pages.mu.Lock()
	defer s.pages.mu.Unlock()
	if s.pages.keys != nil && !s.pages.at.Before(since) {
		return s.pages.keys, nil
	}
	at := time.Now()
	keys := make([]hashed, 0, len(s.pages.keys))
	for key, err := range s.chain.Scan(s.ctx, "") {
		if err != nil {
			return nil, err
		}
		keys = append(keys, hashed{maphash.String(scanSeed, key)>>1 | 1, key}) // never 0, and no client takes it for negative
	}
	slices.SortFunc(keys, func(a, b hashed) int { return cmp.Compare(a.hash, b.hash) })
	s.pages.keys, s.pages.at = keys, at
	return keys, nil
}

// forget drops a list that nobody has asked for in a while.
func (s *Server) forget(now time.Time) {
	s.pages.mu.Lock()
	defer s.pages.mu.Unlock()
	if s.pages.keys != nil && now.Sub(s.pages.at) > keepKeys {
		s.pages.keys = nil
	}
}

// scanArgs are the options of SCAN.
type scanArgs struct {
	count   int64
	pattern []byte
	kind    string
	typed   bool
}

func (o *scanArgs) parse(args [][]byte) string {
	o.count = 10
	for i := 0; i < len(args); i += 2 {
		word := lower(args[i])
		if i+1 == len(args) {
			return errSyntax
		}
		value := args[i+1]
		switch word {
		case "count":
			n, ok := resp.Int(value)
			switch {
			case !ok:
				return errInt
			case n < 1:
				return errSyntax
			}
			o.count = n
		case "match":
			o.pattern = value
		case "type":
			o.kind, o.typed = strings.ToLower(string(value)), true
		default:
			return errSyntax
		}
	}
	return ""
}

func scan(c *conn, args [][]byte) {
	var cursor uint64
	if len(args[1]) > 0 { // as strtoul has it, nothing is 0
		var err error
		if cursor, err = strconv.ParseUint(string(args[1]), 10, 64); err != nil {
			c.fail("ERR invalid cursor")
			return
		}
	}
	var o scanArgs
	if msg := o.parse(args[2:]); msg != "" {
		c.fail(msg)
		return
	}
	since := time.Time{}
	if cursor == 0 {
		since = time.Now()
	}
	all, err := c.s.list(since)
	if err != nil {
		c.failed(err)
		return
	}
	next, page := pageOf(all, cursor, o.count)
	found := make([]string, 0, len(page))
	for _, k := range page {
		if o.typed && o.kind != "string" || o.pattern != nil && !match(o.pattern, []byte(k.key)) {
			continue
		}
		ok, err := c.exists([]byte(k.key))
		if err != nil {
			c.failed(err)
			return
		}
		if ok {
			found = append(found, k.key)
		}
	}
	c.w.Array(2)
	c.w.BulkString(strconv.FormatUint(next, 10))
	c.w.Array(len(found))
	for _, key := range found {
		c.w.BulkString(key)
	}
}

// pageOf returns the keys behind the cursor, and the cursor of the next page; 0 is
// the end. Keys of one hash stay together.
func pageOf(all []hashed, cursor uint64, count int64) (next uint64, page []hashed) {
	from, _ := slices.BinarySearchFunc(all, cursor, func(h hashed, cursor uint64) int {
		if h.hash <= cursor {
			return -1
		}
		return 1
	})
	to := len(all)
	if count < int64(to-from) {
		to = from + int(count)
		for to < len(all) && all[to].hash == all[to-1].hash {
			to++
		}
	}
	if to < len(all) {
		next = all[to-1].hash
	}
	return next, all[from:to]
}

func keys(c *conn, args [][]byte) {
	found := []string{}
	prefix, exact := literal(args[1])
	for key, err := range c.s.chain.Scan(c.s.ctx, prefix) {
		if err != nil {
			c.failed(err)
			return
		}
		if exact && key == prefix || !exact && match(args[1], []byte(key)) {
			found = append(found, key)
		}
	}
	c.w.Array(len(found))
	for _, key := range found {
		c.w.BulkString(key)
	}
}

// literal returns what a pattern begins with before its first special byte, and
// whether that is all of it.
func literal(p []byte) (prefix string, exact bool) {
	for i, c := range p {
		if c == '*' || c == '?' || c == '[' || c == '\\' {
			return string(p[:i]), false
		}
	}
	return string(p), true
}

func dbsize(c *conn, _ [][]byte) {
	n, err := c.s.peek.Count(c.s.ctx)
	if err != nil {
		c.failed(err)
		return
	}
	c.w.Int(n)
}

func randomkey(c *conn, _ [][]byte) {
	// A list of a moment ago will do, unless what it has is gone.
	for _, since := range []time.Time{time.Now().Add(-time.Second), time.Now()} {
		all, err := c.s.list(since)
		if err != nil {
			c.failed(err)
			return
		}
		for range min(len(all), 100) {
			key := all[rand.IntN(len(all))].key
			if ok, err := c.exists([]byte(key)); ok && err == nil {
				c.w.BulkString(key)
				return
			}
		}
	}
	c.w.Null()
}
