package journal

import (
	"errors"
	"runtime"
	"time"

	"github.com/stratacache/strata/internal/vfs"
)

// Files grow by zeroed pieces that double from minZero to maxZero: small
// journals stay small, and large ones extend rarely.
const (
	minZero = 64 << 10
	maxZero = 2 << 20
)

// restFor is how long the writing goroutine leaves records alone after it has
// written some, where nobody waits for them: waking it for each would cost the
// appender more than the append.
const restFor = time.Millisecond

// writer is the state of whoever holds wmu.
type writer struct {
	f      vfs.File
	num    uint64
	off    int64 // where the next batch goes
	zeroed int64 // the file is written, if only with zeros, up to here
	dirty  bool  // not synced
	grown  bool  // the size changed since the last sync
	broken bool  // the file failed: do not touch it again
}

// run is the writing goroutine.
func (j *Journal) run() {
	defer close(j.done)
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	armed := false
	rest := time.NewTimer(time.Hour)
	rest.Stop()
	appended := j.appended // nil while resting
	for {
		select {
		case <-j.wake:
			j.drain()
		case <-appended:
			j.drain()
			appended = nil
			rest.Reset(restFor)
		case <-rest.C:
			appended = j.appended
		case <-timer.C:
			armed = false
			j.syncDue()
		}
		if !armed && j.opts.Sync == SyncInterval && j.isDirty() {
			timer.Reset(j.opts.Interval)
			armed = true
		}
		if j.isClosed() {
			timer.Stop()
			rest.Stop()
			j.drain()
			j.closeFile()
			return
		}
	}
}

func (j *Journal) syncDue() {
	j.wmu.Lock()
	defer j.wmu.Unlock()
	if err := j.syncFile(); err != nil {
		j.fail(err)
	}
}

func (j *Journal) isDirty() bool {
	j.wmu.Lock()
	defer j.wmu.Unlock()
	return j.w.dirty
}

func (j *Journal) isClosed() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.closed
}

// drain writes batches until none is left.
func (j *Journal) drain() {
	j.wmu.Lock()
	defer j.wmu.Unlock()
	for b := j.take(); b != nil; b = j.take() {
		j.settleBatch(b)
		if j.opts.Sync == SyncAlways {
			j.gather(b.n)
		}
	}
}

// lead writes batches up to and including one. more is true where others wait.
func (j *Journal) lead(until *batch) (more bool) {
	for {
		select {
		case <-until.done:
			return j.waiting() > 0
		default:
		}
		b := j.take()
		if b == nil {
			return false
		}
		j.settleBatch(b)
	}
}

// settleBatch writes a batch and wakes those who wait for it.
func (j *Journal) settleBatch(b *batch) {
	if err := j.write(b); err != nil {
		b.err = err
		j.fail(err)
	}
	j.recycle(b)
	if b.n > 0 {
		j.crowded.Store(b.n > 1)
	}
	close(b.done)
}

// take removes the oldest batch from the queue.
func (j *Journal) take() *batch {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.queue) == 0 {
		return nil
	}
	b := j.queue[0]
	j.queue[0] = nil
	j.queue = j.queue[1:]
	j.pending -= len(b.buf)
	if j.room != nil {
		close(j.room)
		j.room = nil
	}
	return b
}

// recycle keeps one buffer of moderate size for the next batch.
func (j *Journal) recycle(b *batch) {
	buf := b.buf
	b.buf = nil
	if cap(buf) > maxPending {
		return
	}
	j.mu.Lock()
	if cap(buf) > cap(j.free) {
		j.free = buf[:0]
	}
	j.mu.Unlock()
}

// gather lets the writers just woken append their next records, so that the
// next batch is as large as the last: without it two groups form that take
// turns, and each sync serves half of the writers.
func (j *Journal) gather(last int) {
	for idle, before := 0, -1; idle < 3; {
		n := j.waiting()
		if n >= last {
			return
		}
		if n == before {
			idle++
		} else {
			idle = 0
		}
		before = n
		runtime.Gosched()
	}
}

// waiting returns the number of records that wait for the disk.
func (j *Journal) waiting() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, b := range j.queue {
		n += b.n
	}
	return n
}

// write puts a batch into the file, and on the disk where the policy or the
// batch asks for it.
func (j *Journal) write(b *batch) error {
	if b.open != nil {
		if err := j.openFile(*b.open); err != nil {
			return err
		}
	}
	w := &j.w
	if len(b.buf) > 0 {
		if w.broken || w.f == nil {
			return errors.New("journal: write to an abandoned file")
		}
		if err := j.extend(w.off + int64(len(b.buf))); err != nil {
			return err
		}
		if _, err := w.f.WriteAt(b.buf, w.off); err != nil {
			return err
		}
		w.off += int64(len(b.buf))
		w.dirty = true
		j.grew(w.off)
	}
	if b.sync || j.opts.Sync == SyncAlways {
		return j.syncFile()
	}
	return nil
}

// zeros is what files are extended with.
var zeros [256 << 10]byte

// extend zeroes the file far enough ahead for a write up to end.
func (j *Journal) extend(end int64) error {
	w := &j.w
	if end <= w.zeroed {
		return nil
	}
	step := min(max(w.zeroed, minZero), maxZero)
	to := max(min(w.zeroed+step, j.opts.FileSize), end)
	for w.zeroed < to {
		n := min(to-w.zeroed, int64(len(zeros)))
		if _, err := w.f.WriteAt(zeros[:n], w.zeroed); err != nil {
			return err
		}
		w.zeroed += n
	}
	w.grown, w.dirty = true, true
	return nil
}

// syncFile makes the current file durable, if it is not.
func (j *Journal) syncFile() error {
	w := &j.w
	if w.f == nil || !w.dirty || w.broken {
		return nil
	}
	sync := w.f.Datasync
	if w.grown {
		sync = w.f.Sync
	}
	if err := sync(); err != nil {
		return err
	}
	w.dirty, w.grown = false, false
	return nil
}

// fail abandons the current file and fails all that waits.
func (j *Journal) fail(err error) {
	w := &j.w
	if w.f != nil {
		_ = w.f.Close()
	}
	j.mark(w.num, true)
	*w = writer{broken: true}
	j.mu.Lock()
	queue := j.queue
	j.queue, j.pending = nil, 0
	j.err = err
	if j.room != nil {
		close(j.room)
		j.room = nil
	}
	j.mu.Unlock()
	for _, b := range queue {
		b.err = err
		close(b.done)
	}
	j.opts.OnError(err)
}

// closeFile ends the current file.
func (j *Journal) closeFile() {
	j.wmu.Lock()
	defer j.wmu.Unlock()
	if j.w.f == nil {
		return
	}
	if j.opts.Sync != SyncNever {
		if err := j.syncFile(); err != nil {
			j.fail(err)
			return
		}
	}
	_ = j.w.f.Close()
	j.w = writer{}
}
