package chain

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store"
)

// PendingOptions bound the writes that are acknowledged or owed but not yet in
// their tier: write-back, and the repair of a tier that failed during a
// write-through. They apply to each tier's queue.
type PendingOptions struct {
	// MaxEntries and MaxBytes bound a queue; 0 means 65,536 and 64 MiB.
	MaxEntries int
	MaxBytes   int64
	// WhenFull says what a write-back Set does when the queue is full.
	WhenFull FullPolicy
	// Batch is the number of entries of one flush; 0 means 512. Two full ones can
	// be on their way to a tier at once, but one to a Sink.
	Batch int
	// Interval is how long a write may wait for others to share its flush;
	// 0 means 50 ms.
	Interval time.Duration
	// RetryMin and RetryMax bound the pause after a flush that failed, which
	// doubles with each failure and is drawn at random from around that; 0 means
	// 50 ms and 5 s.
	RetryMin, RetryMax time.Duration
	// MaxAttempts is how often a write may fail, while its tier takes others,
	// before it is given up; 0 means that it is tried for ever. A tier that takes
	// nothing uses up no attempts.
	MaxAttempts int
	// MaxAge is how old a write may get before it is given up at its next
	// failure; 0 means that it is tried for ever.
	MaxAge time.Duration
	// DrainStall is how long a Flush or Close whose context has no deadline waits
	// for a tier that takes nothing; 0 means 30 s. What is left is then reported
	// as if a deadline had passed.
	DrainStall time.Duration
	// OnDeadLetter is told of every write that is given up: after MaxAttempts or
	// MaxAge, or because the tier refused it for good. It is called from the
	// queues' goroutines, maybe at the same time: it must be quick and must not
	// call the chain.
	OnDeadLetter func(DeadLetter)
	// Journal is the directory in which rules with `durable: true` keep
	// acknowledged writes until their tiers have them; empty: there is none. It
	// belongs to one process: New returns an error for which errors.Is(err,
	// store.ErrLocked) holds while another has it.
	Journal string
	// JournalFile is the size in bytes of a file of the journal; 0 means 8 MiB.
	// The journal takes up to twice the sum of four files and twice the writes
	// that it must hold.
	JournalFile int64

	journalFS vfs.FS // for tests
}

func (o *PendingOptions) complete() error {
	for _, f := range []struct {
		name string
		n    int64
	}{
		{"MaxEntries", int64(o.MaxEntries)}, {"MaxBytes", o.MaxBytes}, {"Batch", int64(o.Batch)},
		{"Interval", int64(o.Interval)}, {"RetryMin", int64(o.RetryMin)}, {"RetryMax", int64(o.RetryMax)},
		{"MaxAttempts", int64(o.MaxAttempts)}, {"MaxAge", int64(o.MaxAge)},
		{"DrainStall", int64(o.DrainStall)}, {"JournalFile", o.JournalFile},
	} {
		if f.n < 0 {
			return fmt.Errorf("strata: chain.Options.Pending.%s is negative; leave it zero for the default", f.name)
		}
	}
	if o.WhenFull < FullBlock || o.WhenFull > FullReject {
		return fmt.Errorf("strata: chain.Options.Pending.WhenFull is %d; use FullBlock, FullThrough or FullReject", o.WhenFull)
	}
	defaults(&o.MaxEntries, 65536)
	defaults(&o.MaxBytes, 64<<20)
	defaults(&o.Batch, 512)
	defaults(&o.Interval, 50*time.Millisecond)
	defaults(&o.DrainStall, 30*time.Second)
	defaults(&o.JournalFile, 8<<20)
	defaults(&o.RetryMin, 50*time.Millisecond)
	defaults(&o.RetryMax, max(5*time.Second, o.RetryMin))
	if o.RetryMax < o.RetryMin {
		return fmt.Errorf("strata: chain.Options.Pending.RetryMax is %v, less than RetryMin, %v", o.RetryMax, o.RetryMin)
	}
	return nil
}

// FullPolicy says what happens to a write-back when its queue is full.
type FullPolicy int

// The policies for a full queue.
const (
	// FullBlock waits for room until the context ends.
	FullBlock FullPolicy = iota
	// FullThrough writes to the tier directly.
	FullThrough
	// FullReject returns ErrBusy.
	FullReject
)

// ErrBusy is the error of a write-back whose queue is full under FullReject, and of a
// write-through, beside the error of the tier that failed, where that tier's queue has
// no room to owe it the write.
var ErrBusy = errors.New("strata: write-back queue is full")

// DeadLetter is a write that was given up. A tier of a cache then forgets the
// key, so that it does not answer with something older; a Sink keeps what it has.
type DeadLetter struct {
	Tier     string
	Key      string
	Entry    store.Entry // without value where Deleted
	Deleted  bool
	Attempts int           // failures that counted; see PendingOptions.MaxAttempts
	Age      time.Duration // since the write was made
	Err      error         // of the last attempt
}

// PendingError reports writes that were still pending when a Flush or Close had
// to end.
type PendingError struct {
	Tier string
	Left int
	// Journalled says how many of them are in the journal, and will be written
	// when the chain is opened again.
	Journalled int
	Err        error
}

// Error implements error.
func (e *PendingError) Error() string {
	s := "strata: tier " + e.Tier + ": " + strconv.Itoa(e.Left) + " writes still pending"
	if e.Journalled > 0 {
		s += " (" + strconv.Itoa(e.Journalled) + " in the journal)"
	}
	return s + ": " + e.Err.Error()
}

// Unwrap returns why the wait ended.
func (e *PendingError) Unwrap() error { return e.Err }

// PendingStats describe the writes that a tier has yet to take.
type PendingStats struct {
	Entries int
	Bytes   int64
	Age     float64 // seconds since the oldest came in
	Retries int     // entries that failed and wait for another attempt
	Flushed uint64  // operations that the tier took from the queue
	Failed  uint64  // flushes that failed, in whole or in part
	Lost    uint64  // operations given up: see PendingOptions.OnDeadLetter
}

// JournalStats describe the journal of durable writes; zero without one.
type JournalStats struct {
	Bytes     int64  // on the disk
	Records   int    // writes that a tier has yet to take
	Rewritten uint64 // records that were written anew so that files could go
	Err       error  // why writes fail at present
}
