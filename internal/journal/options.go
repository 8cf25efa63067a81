package journal

import (
	"errors"
	"fmt"
	"time"

	"github.com/stratacache/strata/internal/vfs"
)

// Errors of a journal.
var (
	ErrClosed = errors.New("journal: closed")
	// ErrFull: MaxBytes would be exceeded.
	ErrFull = errors.New("journal: full")
	// ErrTooLarge: the record exceeds MaxRecord.
	ErrTooLarge = errors.New("journal: record too large")
	// ErrVersion: a file was written by a newer version of this package.
	ErrVersion = errors.New("journal: written by a newer version")

	errReplayFirst = errors.New("journal: append before Replay")
	errReadOnly    = errors.New("journal: opened read-only")
)

// Sync says when an append is durable.
type Sync int

const (
	// SyncInterval: an append returns once the record is in the journal's
	// buffer, which is handed to the system at once and synced every Interval.
	// A power failure loses at most the last interval.
	SyncInterval Sync = iota
	// SyncAlways: an append returns once the record is on the disk.
	SyncAlways
	// SyncNever: the system writes when it likes.
	SyncNever
)

// Options of Open. The zero value is the default.
type Options struct {
	Sync     Sync
	Interval time.Duration // of SyncInterval; default 1 s
	// FileSize is the size in bytes at which a new file is begun; default 8 MiB.
	FileSize int64
	// MaxBytes bounds the size of all files together; 0: unbounded.
	MaxBytes int64
	// MaxRecord bounds one record's payload; default 64 MiB.
	MaxRecord int
	// Spares is how many emptied files are kept for reuse; default 2. They go
	// when the journal is closed.
	Spares int
	// ReadOnly allows Replay only.
	ReadOnly bool
	// FS is the file system that dir is in; nil is that of the machine, where
	// the journal then takes a lock on the directory.
	FS vfs.FS
	// OnError is told of a failed write or sync, from the writing goroutine.
	OnError func(error)
}

func (o *Options) defaults() error {
	if o.Interval < 0 || o.FileSize < 0 || o.MaxBytes < 0 || o.MaxRecord < 0 || o.Spares < 0 {
		return errors.New("journal: an option is negative")
	}
	if o.Sync < SyncInterval || o.Sync > SyncNever {
		return fmt.Errorf("journal: Sync: unknown policy %d", o.Sync)
	}
	if o.Interval == 0 {
		o.Interval = time.Second
	}
	if o.FileSize == 0 {
		o.FileSize = 8 << 20
	}
	if o.MaxRecord == 0 {
		o.MaxRecord = 64 << 20
	}
	if o.Spares == 0 {
		o.Spares = 2
	}
	if o.OnError == nil {
		o.OnError = func(error) {}
	}
	return nil
}
