package storetest

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/stratacache/strata/store"
)

// refStore is a store of the plainest kind: a map under a mutex. A bug can be
// planted in it by name; see bugs.
type refStore struct {
	bug string

	mu     sync.Mutex
	m      map[string]store.Entry
	shadow map[string]store.Entry // an older state that a bug may show
	st     store.Stats
	closed bool
}

func newRef(bug string) *refStore {
	return &refStore{bug: bug, m: map[string]store.Entry{}, shadow: map[string]store.Entry{}}
}

func fault(op, key string, err error) error {
	return &store.Error{Op: op, Tier: "ref", Key: key, Err: err}
}

// begin is the common head of every operation. It locks.
func (s *refStore) begin(ctx context.Context, op, key string, keyed bool) error {
	s.mu.Lock()
	switch {
	case s.closed && s.bug != "works after close":
		return fault(op, key, store.ErrClosed)
	case ctx.Err() != nil && s.bug != "ignores context":
		if s.bug == "a cancelled read is a miss" && op == "get" {
			return store.ErrNotFound
		}
		return fault(op, key, ctx.Err())
	case keyed && key == "" && s.bug != "takes the empty key":
		return fault(op, key, store.ErrInvalidKey)
	}
	return nil
}

func (s *refStore) key(key string) string {
	switch {
	case s.bug == "cuts keys" && len(key) > 250:
		return key[:250]
	case s.bug == "folds case":
		return strings.ToLower(key)
	case s.bug == "slash is colon":
		return strings.ReplaceAll(key, "/", "%2F")
	}
	return key
}

func (s *refStore) Get(ctx context.Context, key string) (store.Entry, error) {
	err := s.begin(ctx, "get", key, true)
	defer s.mu.Unlock()
	if err != nil {
		return store.Entry{}, err
	}
	if s.bug == "unlocked read" {
		s.mu.Unlock()
		time.Sleep(time.Microsecond)
		s.mu.Lock()
	}
	e, ok := s.m[s.key(key)]
	if ok && e.Expired(time.Now()) && s.bug != "returns expired" {
		ok = false
	}
	if s.bug == "stale reads" && len(s.shadow) > 0 {
		if old, was := s.shadow[key]; was && time.Now().UnixNano()%3 == 0 {
			return old, nil
		}
	}
	if !ok {
		return s.miss(key)
	}
	s.st.Hits++
	return s.spoil(e), nil
}

func (s *refStore) miss(key string) (store.Entry, error) {
	s.st.Misses++
	switch s.bug {
	case "wrapped miss":
		return store.Entry{}, fault("get", key, store.ErrNotFound)
	case "miss is nil":
		return store.Entry{}, nil
	}
	return store.Entry{}, store.ErrNotFound
}

// spoil is what bugs do to an entry on its way out.
func (s *refStore) spoil(e store.Entry) store.Entry {
	switch s.bug {
	case "drops tags":
		e.Tags = nil
	case "drops version":
		e.Version = 0
	case "drops fresh":
		e.Fresh = time.Time{}
	case "drops codec":
		e.Codec = ""
	case "text values":
		e.Value = bytes.ToValidUTF8(e.Value, []byte("?"))
	case "sliding expiry":
		if !e.Expires.IsZero() {
			e.Expires = e.Expires.Add(7 * time.Millisecond)
		}
	}
	return e
}

func (s *refStore) Set(ctx context.Context, key string, e store.Entry) error {
	err := s.begin(ctx, "set", key, true)
	defer s.mu.Unlock()
	if err != nil {
		return err
	}
	s.st.Sets++
	s.set(key, e)
	return nil
}

func (s *refStore) set(key string, e store.Entry) {
	k := s.key(key)
	old, had := s.m[k]
	if e.Expired(time.Now()) {
		if s.bug != "expired set is ignored" {
			delete(s.m, k)
		}
		return
	}
	switch s.bug {
	case "ttl in seconds":
		if !e.Expires.IsZero() {
			e.Expires = time.Now().Add(time.Until(e.Expires).Truncate(time.Second))
		}
	case "short ttl is for ever":
		if !e.Expires.IsZero() && time.Until(e.Expires) < time.Second {
			e.Expires = time.Time{}
		}
	case "never is a day":
		if e.Expires.IsZero() {
			e.Expires = time.Now().Add(24 * time.Hour)
		}
	case "distant deadline wraps":
		if e.Expires.Year() > 2262 {
			e.Expires = time.Unix(0, e.Expires.UnixNano())
		}
	case "keeps first value":
		if had {
			return
		}
	case "keeps first deadline":
		if had {
			e.Expires = old.Expires
		}
	case "set compares versions":
		if had && old.Version > e.Version {
			return
		}
	case "empty value is nothing":
		if len(e.Value) == 0 {
			delete(s.m, k)
			return
		}
	case "cuts values":
		if len(e.Value) > 65535 {
			e.Value = e.Value[:65535]
		}
	case "reuses buffers":
		if had && len(old.Value) == len(e.Value) && len(e.Value) > 0 {
			copy(old.Value, e.Value)
			e.Value = old.Value
		} else {
			e.Value = bytes.Clone(e.Value)
		}
	case "stale reads":
		if had {
			s.shadow[key] = old
		}
	}
	s.m[k] = e
}

func (s *refStore) Delete(ctx context.Context, key string) error {
	err := s.begin(ctx, "delete", key, true)
	defer s.mu.Unlock()
	if err != nil {
		return err
	}
	s.st.Deletes++
	if s.bug == "forgets deletes" && s.st.Deletes%50 == 0 {
		return nil
	}
	if _, ok := s.m[s.key(key)]; !ok && s.bug == "delete of absent fails" {
		return store.ErrNotFound
	}
	delete(s.m, s.key(key))
	return nil
}

func (s *refStore) Fill(ctx context.Context, key string, e store.Entry) (bool, error) {
	err := s.begin(ctx, "fill", key, true)
	defer s.mu.Unlock()
	if err != nil {
		return false, err
	}
	old, ok := s.m[s.key(key)]
	if ok && old.Expired(time.Now()) {
		ok = s.bug == "expired blocks fill"
	}
	if s.bug == "fill is not atomic" {
		s.mu.Unlock()
		time.Sleep(time.Microsecond)
		s.mu.Lock()
	}
	if ok && !store.Newer(e.Version, old.Version) && s.bug != "fill overwrites" {
		if s.bug == "fill extends" {
			old.Expires = e.Expires
			s.m[s.key(key)] = old
		}
		return s.bug == "fill says stored", nil
	}
	s.set(key, e)
	return true, nil
}

func (s *refStore) GetEach(ctx context.Context, keys []string, answers []store.Answer) error {
	var be *store.BatchError
	at := 0
	for i, key := range keys {
		if s.bug != "answers move up" {
			at = i
		}
		e, err := s.Get(ctx, key)
		switch {
		case errors.Is(err, store.ErrNotFound):
			answers[at].Found = s.bug == "absent keys are found"
		case err != nil && s.bug == "each fails whole":
			return err
		case err != nil:
			be = be.Add(key, err)
		default:
			answers[at] = store.Answer{Entry: e, Found: true}
			at++
		}
	}
	return be.ErrOrNil()
}

func (s *refStore) GetMany(ctx context.Context, keys []string) (map[string]store.Entry, error) {
	if s.bug == "nil map" && len(keys) == 0 {
		return nil, nil
	}
	found := map[string]store.Entry{}
	var be *store.BatchError
	if s.bug == "batch is cut" && len(keys) > 512 {
		keys = keys[:512]
	}
	for i, key := range keys {
		e, err := s.Get(ctx, key)
		switch {
		case errors.Is(err, store.ErrNotFound):
			if s.bug == "absent keys in map" {
				found[key] = store.Entry{}
			}
		case err != nil:
			if s.bug == "batch fails whole" {
				return nil, err
			}
			be = be.Add(key, err)
		default:
			if s.bug == "batch mixes keys" && i+1 < len(keys) {
				key = keys[i+1]
			}
			found[key] = e
		}
	}
	return found, be.ErrOrNil()
}

func (s *refStore) SetMany(ctx context.Context, entries map[string]store.Entry) error {
	var be *store.BatchError
	for key, e := range entries {
		if s.bug == "batch drops deadlines" {
			e.Expires = time.Time{}
		}
		if err := s.Set(ctx, key, e); err != nil {
			be = be.Add(key, err)
		}
	}
	return be.ErrOrNil()
}

func (s *refStore) Scan(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		err := s.begin(ctx, "scan", "", false)
		keys := maps.Clone(s.m)
		s.mu.Unlock()
		if err != nil {
			yield("", err)
			return
		}
		for key, e := range keys {
			if e.Expired(time.Now()) && s.bug != "scans expired" {
				continue
			}
			if strings.HasPrefix(key, prefix) || s.bug == "scan takes globs" && strings.HasPrefix(prefix, "x*") {
				if !yield(key, nil) && s.bug != "scan ignores break" {
					return
				}
			}
		}
	}
}

func (s *refStore) Clear(ctx context.Context) error {
	err := s.begin(ctx, "clear", "", false)
	defer s.mu.Unlock()
	if err != nil {
		return err
	}
	n := 0
	for key := range s.m {
		if n++; s.bug == "clears half" && n%2 == 0 {
			continue
		}
		delete(s.m, key)
	}
	if s.bug == "clear resets counters" {
		s.st = store.Stats{}
	}
	return nil
}

func (s *refStore) Stats() store.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.st
	if s.bug == "counts twice" {
		st.Hits *= 2
	}
	return st
}

func (s *refStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed && s.bug == "second close fails" {
		return fault("close", "", store.ErrClosed)
	}
	s.closed = true
	return nil
}
