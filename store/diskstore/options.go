package diskstore

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/stratacache/strata/internal/journal"
	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store"
)

// Sync says when a write is durable.
type Sync int

const (
	// SyncInterval, the default: a write returns once it is on its way to the
	// operating system, and is synced within Options.Interval. A power failure
	// loses at most the last interval; a killed process at most what it wrote in
	// its last milliseconds.
	SyncInterval Sync = iota
	// SyncAlways: a write returns once it is on the disk. Concurrent writers
	// share a sync.
	SyncAlways
	// SyncNever: the operating system writes when it likes.
	SyncNever
)

// Options are the settings of Open. Nil and zero fields mean the defaults.
type Options struct {
	// Name is the tier's name in errors and logs; default "disk".
	Name string

	Sync     Sync
	Interval time.Duration // of SyncInterval; default 1 s

	// Capacity bounds the bytes on the disk; 0: unbounded. Beyond it the
	// entries written longest ago go first, a segment at a time (an eighth of
	// the capacity at most). Bytes of expired and replaced entries count until
	// compaction has dropped them. It is at least 1 MiB.
	Capacity int64
	// SegmentSize is how many bytes of writes are gathered in memory and in the
	// journal before they are sealed into a segment; default 32 MiB, at most a
	// sixteenth of Capacity. Twice as much may be in memory at a time.
	SegmentSize int64
	// MaxValue bounds a value; default 64 MiB. Larger ones are ErrTooLarge.
	MaxValue int
	// CompactionRate bounds the bytes per second that compaction writes;
	// default 64 MiB/s, negative: unbounded.
	CompactionRate int64

	// Partitioner lays out entries of codec "parquet" as table files; nil: none
	// are. A *policy.Set is one.
	Partitioner store.Partitioner

	// ReadOnly opens a directory, which another process may be writing, as it
	// is now: for tools. Nothing on the disk is changed, nothing is locked.
	ReadOnly bool

	Logger *slog.Logger
	// OnError is told of faults that no caller sees: failed syncs, sealing and
	// compaction, damage found on opening. It must not call the store.
	OnError func(error)
	// Progress is told how far Verify, Repair, Compact and Snapshot have come, in bytes
	// of segments, from the goroutine that calls them; nil is no call.
	Progress func(done, total int64)

	fs vfs.FS // for tests
}

// MaxKey is the length in bytes of the longest key.
const MaxKey = journal.MaxKey

func (o *Options) defaults() error {
	switch {
	case o.Sync < SyncInterval || o.Sync > SyncNever:
		return fmt.Errorf("diskstore: Options.Sync: unknown policy %d", o.Sync)
	case o.Interval < 0:
		return errors.New("diskstore: Options.Interval is negative")
	case o.Capacity < 0 || o.Capacity > 0 && o.Capacity < 1<<20:
		return errors.New("diskstore: Options.Capacity is less than 1 MiB")
	case o.SegmentSize < 0:
		return errors.New("diskstore: Options.SegmentSize is negative")
	case o.MaxValue < 0 || o.MaxValue > 1<<30:
		return errors.New("diskstore: Options.MaxValue is negative or more than 1 GiB")
	}
	if o.Name == "" {
		o.Name = "disk"
	}
	if o.Interval == 0 {
		o.Interval = time.Second
	}
	if o.SegmentSize == 0 {
		o.SegmentSize = 32 << 20
	}
	if o.MaxValue == 0 {
		o.MaxValue = 64 << 20
	}
	if o.Capacity > 0 {
		o.SegmentSize = min(o.SegmentSize, o.Capacity/16)
		o.MaxValue = min(o.MaxValue, int(min(o.Capacity/16, math.MaxInt32)))
	}
	if o.CompactionRate == 0 {
		o.CompactionRate = 64 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.OnError == nil {
		o.OnError = func(error) {}
	}
	return nil
}
