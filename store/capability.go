package store

import (
	"context"
	"iter"
	"time"
)

// BatchGetter is a store that reads many keys in one call.
type BatchGetter interface {
	// GetMany returns the entries of those keys that are present. Absent keys
	// are simply not in the map. The map is valid, and holds what could be
	// answered, even when the error is not nil; see BatchError.
	GetMany(ctx context.Context, keys []string) (map[string]Entry, error)
}

// EachGetter is a BatchGetter that answers in the order of the keys, without making a
// map for that.
type EachGetter interface {
	// GetEach is GetMany with the entry of keys[i] in answers[i]. There are as many
	// answers as keys, and all are zero; those of keys that are absent, or that could
	// not be read, stay so.
	GetEach(ctx context.Context, keys []string, answers []Answer) error
}

// Answer is what a store has of one key of a batch.
type Answer struct {
	Entry Entry
	Found bool // there is an entry
}

// BatchSetter is a store that writes many entries in one call. The batch is not
// atomic.
type BatchSetter interface {
	// SetMany is a Set of each entry. Once it has returned nil, the map, not the
	// values, is the caller's again.
	SetMany(ctx context.Context, entries map[string]Entry) error
}

// BatchDeleter is a store that removes many keys in one call.
type BatchDeleter interface {
	DeleteMany(ctx context.Context, keys []string) error
}

// Filler is a store with a conditional write, for promotion and loads.
type Filler interface {
	// Fill stores e unless the store holds an entry of key that is not older
	// (see Newer), atomically. It reports whether e is now stored. A Fill never
	// changes the deadlines of what is there.
	Fill(ctx context.Context, key string, e Entry) (stored bool, err error)
}

// BatchFiller is a store that fills many keys in one call.
type BatchFiller interface {
	// FillMany is Fill for each entry. It does not say which were stored, only
	// which failed.
	FillMany(ctx context.Context, entries map[string]Entry) error
}

// NewerSetter is a store that can keep what is newer, many keys in one call.
type NewerSetter interface {
	// SetNewer is a SetMany that leaves a key alone whose entry, or remembered
	// delete, is of a later version. Versions are compared exactly: the entries
	// are writes, and not, as for Fill, something that was read or loaded.
	SetNewer(ctx context.Context, entries map[string]Entry) error
}

// Tombstoner is a store, shared by several processes, that remembers deletes for
// a while, so that what another process read or loaded before one of them is not
// filled in after it.
type Tombstoner interface {
	// DeleteVersions removes each key unless the store holds a newer version than
	// the one given. For TombstoneTTL from then on, Fill refuses entries of the
	// key that are not newer than that version.
	DeleteVersions(ctx context.Context, versions map[string]uint64) error
	// TombstoneTTL is how long a delete is remembered. A fill of something that
	// was read or loaded longer ago is not safe. 0: not at all.
	TombstoneTTL() time.Duration
}

// Replacer is a store that holds entries whose age it cannot tell (in Redis: plain
// values), so that a Fill keeps them, and that can replace one of them all the same
// if it is still the one that the caller has read.
type Replacer interface {
	// Replace stores e where Fill would, and also where the store still holds old:
	// an entry of the same version and value. It is one step. It reports whether e
	// is now stored.
	Replace(ctx context.Context, key string, old, e Entry) (stored bool, err error)
}

// Toucher is a store that renews the deadlines of an entry without its value
// being sent.
type Toucher interface {
	// Touch gives key's entry the deadlines and version of e, if it is still old:
	// of the same version, and where that is 0 of the same value. e has no value. It
	// is one step. It reports whether it did so; false is also the answer of a store
	// that cannot do it for this entry.
	Touch(ctx context.Context, key string, old, e Entry) (touched bool, err error)
}

// Versioner is a store that can tell the versions of what it holds without the
// values being sent.
type Versioner interface {
	// Versions returns the version of each key that the store holds, 0 where nobody
	// stamped the value. Absent keys are not in the map; a remembered delete may be,
	// with its version. The map is valid even when the error is not nil; see
	// BatchError.
	Versions(ctx context.Context, keys []string) (map[string]uint64, error)
}

// Scanner is a store that can list its keys.
type Scanner interface {
	// Scan yields every live key that begins with prefix, in no particular
	// order, each at least once (Redis may repeat one). Keys written or deleted
	// meanwhile may or may not appear. A failure is yielded as ("", err) and
	// ends the sequence.
	Scan(ctx context.Context, prefix string) iter.Seq2[string, error]
}

// Clearer is a store that can remove all that it holds (in Redis: all under its
// prefix).
type Clearer interface {
	Clear(ctx context.Context) error
}

// Syncer is a store that may hold in a buffer what it has acknowledged.
type Syncer interface {
	// Sync returns when all that was acknowledged before the call is as durable
	// as the store makes it. A journal that keeps writes until a tier has them
	// calls it before it lets go of them.
	Sync(ctx context.Context) error
}

// Statser is a store that counts.
type Statser interface {
	Stats() Stats
}

// Interruptible is implemented by stores of which a call returns soon after its
// context has ended, within a tenth of a second say, whatever the state of what is
// behind them. A chain lets a reader whose context may end call such a store
// himself; for any other it takes a goroutine, which costs a few microseconds a
// read, since the store may hold who calls it. There is no fall-back: whoever is
// in doubt leaves it out.
type Interruptible interface {
	// Interruptible does nothing: that it is there is the promise.
	Interruptible()
}

// Objects is a store in this process that holds decoded values, so that a hit
// costs no copy and no decoding.
//
// The object is shared by all who read it: nobody modifies it. Keys are those
// of the Store: Delete and Clear remove objects too, and Set replaces one.
type Objects interface {
	// GetObject returns the object last set under key. It does not check
	// deadlines: whoever set the object keeps them in it, where they cost no
	// second memory access, and checks them on reading.
	GetObject(key string) (obj any, ok bool)
	// SetObject stores obj, visible to every GetObject that begins after it
	// returns until it is replaced, deleted or evicted. cost is the object's
	// size in bytes without the key and the store's bookkeeping, which the
	// store adds. The store may drop the object once expires has passed (zero:
	// never).
	SetObject(key string, obj any, cost int64, expires time.Time) error
}

// ObjectPeeker is an Objects store that can be looked into without the look counting
// as a read, neither in its statistics nor for what it keeps.
type ObjectPeeker interface {
	// PeekObject is GetObject apart from that.
	PeekObject(key string) (obj any, ok bool)
}

// ObjectFiller is an Objects store that looks at what it holds before it stores an object,
// in one step.
type ObjectFiller interface {
	// FillObject is SetObject unless keep, which is called with the object that is there,
	// says that it is to stay; no write of the key comes in between. keep must be quick
	// and must not use the store. The caller has looked at expires not long ago: it need
	// not be compared with the clock once more.
	FillObject(key string, obj any, cost int64, expires time.Time, keep func(old any) bool) (stored bool, err error)
}

// EvictionNotifier is a store that tells of what it drops for room.
type EvictionNotifier interface {
	// NotifyEvictions has f called with each object that is dropped for room or not
	// admitted, from then on. There is one such f, which the user of the store sets
	// before anything is stored. It must be quick and must not use the store.
	NotifyEvictions(f func(obj any))
}

// Part is one named segment of a key, as a policy pattern splits it.
type Part struct{ Name, Value string }

// Partitioner maps keys to tables and named parts, for stores that lay out
// their files by them. A *policy.Set is one.
type Partitioner interface {
	// Partition returns the table name of key's rule and the key's parts in
	// the order of the pattern. ok is false where no rule matches.
	Partition(key string) (table string, parts []Part, ok bool)
}

// Wirer says how a value goes over the wire, for stores that other programs
// read. A *policy.Set is one.
type Wirer interface {
	// Wire reports whether the value of key is stored plain: the codec's bytes
	// and nothing else. grace is how long the rule lets a value be served after
	// its soft deadline; a plain value's soft deadline is its hard one minus
	// grace.
	Wire(key string) (plain bool, grace time.Duration)
}

// Stats is a snapshot of a store's counters and sizes. Fields that a store does
// not know are zero. Counters only grow.
type Stats struct {
	Hits, Misses  uint64 // of Get and GetMany, per key
	Sets, Deletes uint64
	Evictions     uint64 // entries dropped for room, not by expiry or request
	Rejections    uint64 // entries that were not admitted
	Expired       uint64 // entries dropped because their deadline had passed
	Corrupt       uint64 // entries that failed their check
	Errors        uint64

	Entries  int64 // live entries
	Bytes    int64 // bytes in use, keys and bookkeeping included
	Capacity int64 // limit of Bytes; 0: unlimited
	// Extra holds further figures by name ("segments", "journal_bytes").
	Extra map[string]float64
}
