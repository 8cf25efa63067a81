package chain

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
)

// keyLocks serialises the writes, fills and flushes of one key in this process.
// A lock exists only while somebody holds or awaits it.
type keyLocks struct {
	seed   maphash.Seed
	shards [256]keyLockShard
}

type keyLockShard struct {
	mu    sync.Mutex
	locks map[string]*keyLock
	spare *keyLock // one that has ended, for the next key
}

type keyLock struct {
	owner *keyLocks
	key   string
	refs  int           // holders and waiters; guarded by the shard
	token chan struct{} // capacity 1: full while held
	last  uint64        // highest version written while the lock lived; guarded by the token
	news  uint64        // the same of other processes, as far as heard of; guarded by the key's stripe of the fences
	// asked is the stamp at which the shared tier was last asked what it holds, and found
	// the version of that; guarded by the same stripe.
	asked, found uint64
}

func (l *keyLocks) shard(key string) *keyLockShard {
	return &l.shards[maphash.String(l.seed, key)%uint64(len(l.shards))]
}

// ref returns the key's lock, not yet held. Whoever holds a reference when it
// stamps its version is sure to see, in last, every later version that went
// before it. Each ref is ended by drop or by unlock, once: the lock may be another key's
// then.
func (l *keyLocks) ref(key string) *keyLock {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.locks[key]
	if k == nil {
		if k, s.spare = s.spare, nil; k == nil {
			k = &keyLock{owner: l, token: make(chan struct{}, 1)}
		}
		k.key = key
		if s.locks == nil {
			s.locks = make(map[string]*keyLock)
		}
		s.locks[key] = k
	}
	k.refs++
	return k
}

// heard tells those who hold or await the key's lock of another process's write. The
// lock of the key's stripe is held.
func (l *keyLocks) heard(key string, version uint64) {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.locks[key]; k != nil {
		k.news = max(k.news, version)
	}
}

// saw tells those who hold or await the key's lock what the shared tier held when it was
// asked, since the stamp. The lock of the key's stripe is held.
func (l *keyLocks) saw(key string, stamp, version uint64) {
	s := l.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.locks[key]; k != nil {
		k.asked, k.found = stamp, version
	}
}

// lock takes the lock or returns ctx's error, in which case the reference is
// dropped.
func (k *keyLock) lock(ctx context.Context) error {
	select {
	case k.token <- struct{}{}:
		return nil
	default:
	}
	select {
	case k.token <- struct{}{}:
		return nil
	case <-ctx.Done():
		k.drop()
		return ended(ctx)
	}
}

// unlock releases the lock and its reference.
func (k *keyLock) unlock() {
	<-k.token
	k.drop()
}

func (k *keyLock) drop() {
	s := k.owner.shard(k.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.refs--; k.refs == 0 {
		delete(s.locks, k.key)
		*k = keyLock{owner: k.owner, token: k.token}
		s.spare = k
	}
}

// lockAll locks many keys, in sorted order so that two batches cannot wait for
// each other. stamp is called once all references are held and before any lock
// is, which is when a batch's version must be drawn.
func (l *keyLocks) lockAll(ctx context.Context, keys []string, stamp func()) ([]*keyLock, error) {
	keys = slices.Clone(keys)
	slices.Sort(keys)
	keys = slices.Compact(keys)
	held := make([]*keyLock, len(keys))
	for i, key := range keys {
		held[i] = l.ref(key)
	}
	if stamp != nil {
		stamp()
	}
	for i, k := range held {
		if err := k.lock(ctx); err != nil {
			unlockAll(held[:i])
			for _, rest := range held[i+1:] {
				rest.drop()
			}
			return nil, err
		}
	}
	return held, nil
}

// lockOf has locks by their keys.
func lockOf(locks []*keyLock) map[string]*keyLock {
	m := make(map[string]*keyLock, len(locks))
	for _, k := range locks {
		m[k.key] = k
	}
	return m
}

func unlockAll(held []*keyLock) {
	for _, k := range held {
		k.unlock()
	}
}
