package journal

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/stratacache/strata/internal/vfs"
)

// maxPending bounds what waits for the writer: appenders beyond it wait.
const maxPending = 4 << 20

// Journal is an open journal. Safe for concurrent use.
type Journal struct {
	opts Options
	fs   vfs.FS
	dir  string
	own  []io.Closer // lock and file system, where the journal opened them

	mu       sync.Mutex
	next     uint64 // sequence of the next record
	cur      head   // of the file that the next record goes to
	begun    bool   // a batch that opens that file has been queued
	fileSize int64  // bytes queued or written for that file
	queue    []*batch
	pending  int           // bytes in queue
	room     chan struct{} // closed when pending falls; nil while nobody waits
	free     []byte        // a buffer to use again
	err      error         // why appends fail
	closed   bool
	replayed bool

	wake     chan struct{} // somebody waits; capacity 1
	appended chan struct{} // nobody does, but there is something; capacity 1
	done     chan struct{} // closed when the writer has ended

	filesMu sync.Mutex
	files   []file // in order; the last may be the current one
	spares  []spareFile

	wmu     sync.Mutex // held by whoever writes
	w       writer
	crowded atomic.Bool // the last batch was of several records
}

// file is one file of the journal.
type file struct {
	num    uint64
	first  uint64 // sequence of its first record
	size   int64
	failed bool // not to be used again
}

// spareFile is a file that waits for being used again.
type spareFile struct {
	name string
	size int64
}

// batch is what is written, and waited for, together.
type batch struct {
	buf  []byte
	n    int   // records
	open *head // not nil: begin this file first
	sync bool  // even if the policy does not ask for it
	done chan struct{}
	err  error
}

// Append adds a record, whose payload is the concatenation of the parts, and
// waits until it is as durable as the policy says. It returns the record's
// sequence number. A record whose Append failed, or whose context ended, may or
// may not be replayed.
func (j *Journal) Append(ctx context.Context, kind byte, payload ...[]byte) (uint64, error) {
	t, err := j.Enqueue(ctx, kind, payload...)
	if err != nil {
		return 0, err
	}
	return t.Seq, j.Wait(ctx, t)
}

// Ticket stands for a record that Enqueue has added.
type Ticket struct {
	Seq uint64
	b   *batch
}

// Enqueue adds a record without waiting for the disk: the order of Enqueue
// calls is the order of the journal. It blocks only while too much is pending.
// The parts are copied. Under SyncAlways nothing is written before somebody
// calls Wait or Sync.
func (j *Journal) Enqueue(ctx context.Context, kind byte, payload ...[]byte) (Ticket, error) {
	size := 0
	for _, p := range payload {
		size += len(p)
	}
	if size > j.opts.MaxRecord {
		return Ticket{}, ErrTooLarge
	}
	j.mu.Lock()
	for j.broken() == nil && j.pending > maxPending {
		if err := j.waitForRoom(ctx); err != nil {
			return Ticket{}, err
		}
	}
	if err := j.broken(); err != nil {
		j.mu.Unlock()
		return Ticket{}, err
	}
	total := int64(recordHeader + size)
	if j.opts.MaxBytes > 0 && j.held()+int64(j.pending)+total > j.opts.MaxBytes {
		j.mu.Unlock()
		return Ticket{}, ErrFull
	}
	b := j.batchFor(total)
	b.buf = appendRecord(b.buf, j.cur.epoch, j.next, kind, payload, size)
	b.n++
	t := Ticket{j.next, b}
	j.next++
	j.fileSize += total
	j.pending += int(total)
	j.mu.Unlock()
	if j.opts.Sync != SyncAlways {
		j.announce()
	}
	return t, nil
}

// announce tells the writing goroutine of a record that nobody waits for. While
// it rests it is not woken.
func (j *Journal) announce() {
	select {
	case j.appended <- struct{}{}:
	default:
	}
}

// broken returns why appends fail; mu is held.
func (j *Journal) broken() error {
	if j.closed {
		return ErrClosed
	}
	return j.err
}

// waitForRoom is called with mu held and returns with it held if err is nil.
func (j *Journal) waitForRoom(ctx context.Context) error {
	if j.room == nil {
		j.room = make(chan struct{})
	}
	room := j.room
	j.mu.Unlock()
	j.signal()
	select {
	case <-room:
		j.mu.Lock()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// batchFor returns the batch that takes the next record of so many bytes,
// turning to a new file where the current one is full.
func (j *Journal) batchFor(total int64) *batch {
	if j.begun && j.fileSize+total > j.opts.FileSize && j.fileSize > fileHeader {
		j.turn()
	}
	if !j.begun {
		b := j.begin()
		b.buf = j.takeFree()
		return b
	}
	if n := len(j.queue); n > 0 {
		return j.queue[n-1]
	}
	return j.push(&batch{done: make(chan struct{}), buf: j.takeFree()})
}

// turn makes the next record begin a new file.
func (j *Journal) turn() {
	j.cur = head{num: j.cur.num + 1, epoch: rand.Uint64()}
	j.begun = false
}

// begin queues the opening of the current file.
func (j *Journal) begin() *batch {
	j.begun, j.fileSize, j.cur.first = true, fileHeader, j.next
	open := j.cur
	return j.push(&batch{open: &open, done: make(chan struct{})})
}

func (j *Journal) push(b *batch) *batch {
	j.queue = append(j.queue, b)
	return b
}

func (j *Journal) takeFree() []byte {
	b := j.free
	j.free = nil
	return b[:0]
}

func (j *Journal) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Wait waits until the record of t is as durable as the policy says: under
// SyncAlways on the disk. Other policies do not wait.
func (j *Journal) Wait(ctx context.Context, t Ticket) error {
	if j.opts.Sync != SyncAlways {
		return nil
	}
	// A lone caller that cannot be interrupted writes by itself, which spares it
	// two changes of goroutine. Among others it leaves that to the writing
	// goroutine, which gathers larger batches.
	if ctx.Done() == nil && !j.crowded.Load() && j.wmu.TryLock() {
		more := j.lead(t.b)
		j.wmu.Unlock()
		if more {
			j.signal()
		}
	} else {
		j.signal()
	}
	return wait(ctx, t.b)
}

func wait(ctx context.Context, b *batch) error {
	select {
	case <-b.done:
		return b.err
	default:
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Sync makes all appended records durable, whatever the policy.
func (j *Journal) Sync(ctx context.Context) error {
	j.mu.Lock()
	if err := j.broken(); err != nil {
		j.mu.Unlock()
		return err
	}
	var b *batch
	if n := len(j.queue); n > 0 {
		b = j.queue[n-1]
	} else {
		b = j.push(&batch{done: make(chan struct{})})
	}
	b.sync = true
	j.mu.Unlock()
	j.signal()
	return wait(ctx, b)
}

// Next returns the sequence number that the next record will have.
func (j *Journal) Next() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.next
}

// SkipTo makes the next record's sequence at least seq, for an owner that knows
// of later ones than the journal holds.
func (j *Journal) SkipTo(seq uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if seq > j.next {
		j.next = seq
		if j.begun {
			j.turn() // within a file sequences are consecutive
		}
	}
}

// Rotate makes the next record begin a new file, so that TruncateBefore can
// drop all that came before. It returns that record's sequence number.
func (j *Journal) Rotate() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.begun {
		j.turn()
	}
	return j.next
}

// Recover begins a new file after a failure. Records that were not durable when
// the journal failed are lost unless the owner has written them elsewhere or
// appends them again. It does nothing to a journal that works.
func (j *Journal) Recover(ctx context.Context) error {
	j.mu.Lock()
	if err := j.broken(); err == nil || j.closed || errors.Is(err, errReadOnly) || errors.Is(err, errReplayFirst) {
		j.mu.Unlock()
		return err
	}
	j.err = nil
	j.turn()
	b := j.begin()
	b.sync = true
	j.mu.Unlock()
	j.signal()
	return wait(ctx, b)
}

// Err returns why appends fail; nil while they work.
func (j *Journal) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.broken()
}

// Close writes and syncs what was appended (unless the policy is SyncNever) and
// closes the files. A second Close is nil.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.mu.Unlock()
	if j.opts.ReadOnly {
		return j.release()
	}
	j.signal()
	<-j.done
	j.mu.Lock()
	err := j.err
	if errors.Is(err, errReplayFirst) {
		err = nil
	}
	j.mu.Unlock()
	j.dropSpares()
	return errors.Join(err, j.release())
}
