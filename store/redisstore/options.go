package redisstore

import (
	"fmt"
	"time"

	"github.com/stratacache/strata/store"
)

// DefaultMaxValue is the limit that Redis itself has by default
// (proto-max-bulk-len): 512 MiB for a value as it is sent.
const DefaultMaxValue = 512 << 20

// Options configures a Store. The zero value, like nil, is the default.
type Options struct {
	// Prefix begins every key in Redis. Keys of other programs beside it are
	// never touched. Empty means that keys go to Redis as they are.
	Prefix string

	// Name is the tier's name in errors; empty means "redis".
	Name string

	// Wire says which keys are stored plain, for other programs to read. A
	// *policy.Set is one. Nil: every key is framed.
	Wire store.Wirer

	// MaxValue is the largest value in bytes as it goes over the wire, the
	// frame included; a larger one is store.ErrTooLarge before anything is
	// sent. 0 means DefaultMaxValue.
	MaxValue int64

	// NewestWins has Set and SetMany of a framed entry that carries a version
	// leave a newer one in place, so that a write that was held up cannot undo
	// a later one of another process. Such a Set returns nil: it was overtaken.
	// It costs a script in place of a SET. Entries without a version, and plain
	// keys, are set regardless. A store with a Feed does so in any case: processes
	// that tell each other of versions must find the newest in Redis.
	NewestWins bool

	// Tombstone is how long a delete by a chain is remembered in Redis, so that
	// what another process loaded before it is not filled in after it. It should
	// be longer than any load takes. A chain with a Feed brings what only its own
	// disk has to Redis while it has had news within half of it, so that less than a
	// minute is of little use. 0 means DefaultTombstone; a negative one remembers
	// none.
	Tombstone time.Duration

	// AllowClearAll lets Clear work without a Prefix, where it removes every
	// key of the database.
	AllowClearAll bool

	// CloseClient has Close close the client too. Open and Connect set it.
	CloseClient bool
}

// withDefaults returns a copy of o with the defaults filled in, or an error that
// names the wrong field.
func (o *Options) withDefaults() (Options, error) {
	var r Options
	if o != nil {
		r = *o
	}
	if r.Name == "" {
		r.Name = "redis"
	}
	if r.MaxValue < 0 {
		return r, fmt.Errorf("redisstore: Options.MaxValue is %d; want 0 or more bytes", r.MaxValue)
	}
	if r.Tombstone == 0 {
		r.Tombstone = DefaultTombstone
	}
	if r.Tombstone > 0 && r.Tombstone < time.Millisecond {
		return r, fmt.Errorf("redisstore: Options.Tombstone is %v; want a millisecond or more, or a negative one for none", r.Tombstone)
	}
	if r.MaxValue == 0 {
		r.MaxValue = DefaultMaxValue
	}
	return r, nil
}
