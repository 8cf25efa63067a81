package segment

import (
	"github.com/stratacache/strata/internal/vfs"
)

const (
	// writeBackEvery is how many bytes are written before the system is told to
	// put them on the disk, beside the writing: the sync at the end finds little
	// to do, and does not stall the disk for everybody else.
	writeBackEvery = 8 << 20
	bufferSize     = 256 << 10
	// aheadBuffers is how many buffers an output that writes ahead has.
	aheadBuffers = 4
)

// output writes a file in sequence, through a buffer. One that writes ahead does
// so in a goroutine of its own, while its user fills other buffers.
type output struct {
	f    vfs.File
	buf  []byte
	off  int64  // of the end, what is buffered included
	room int64  // bytes that the system was asked to keep ready
	to   blocks // the goroutine's, while there is one
	err  error

	// These are for writing ahead.
	queue  chan piece // to the goroutine; nil: there is none
	done   chan piece // from it
	flying int        // pieces that it has
	lent   int        // of them, those that were lent
	spare  [][]byte
	made   int // buffers
}

// piece is a buffer on its way to the file and back.
type piece struct {
	buf  []byte
	at   int  // what is before is not written
	lent bool // not a buffer of the output's
	err  error

	copied bool // part of the copies of its blocks,
	from   int  // which begins here
}

func newOutput(f vfs.File, opts *WriterOptions) *output {
	o := &output{f: f, to: blocks{f: f, throttle: opts.Throttle, block: blockBytes}}
	if opts.Ahead {
		// The system takes longer to find large pages than small ones, and who
		// writes ahead is in a hurry.
		o.to.block = 1
	}
	return o
}

// reserve has the system keep room ready for so many bytes, which spares it from
// looking for room as they come.
func (o *output) reserve(bytes int64) {
	if bytes > 0 {
		o.f.Allocate(bytes)
		o.room = bytes
	}
}

// goAhead begins to write in a goroutine, which ends with stop or sync.
func (o *output) goAhead() {
	o.queue, o.done = make(chan piece, aheadBuffers), make(chan piece, aheadBuffers)
	go func(queue <-chan piece, done chan<- piece) {
		defer close(done)
		for p := range queue {
			o.to.add(p, func(p piece) { done <- p })
		}
	}(o.queue, o.done)
}

// Write appends a copy of p. Errors stick: they are returned by flush.
func (o *output) Write(p []byte) {
	for len(p) > 0 {
		switch {
		case o.buf != nil:
		case o.queue != nil:
			o.buf = o.fresh()
		default:
			o.buf = make([]byte, 0, bufferSize)
		}
		n := min(len(p), bufferSize-len(o.buf))
		o.off += int64(n)
		o.buf = append(o.buf, p[:n]...)
		if p = p[n:]; len(o.buf) == bufferSize {
			_ = o.flush()
		}
	}
}

// Hand appends p[at:] and takes p, a buffer of fresh. It returns another, or the
// same.
func (o *output) Hand(p []byte, at int) []byte {
	_ = o.flush()
	o.off += int64(len(p) - at)
	o.send(piece{buf: p, at: at})
	return o.fresh()
}

// Lend appends p, which must not change until wait has returned.
func (o *output) Lend(p []byte) {
	_ = o.flush()
	o.off += int64(len(p))
	o.send(piece{buf: p, lent: true})
}

// fresh returns an empty buffer.
func (o *output) fresh() []byte {
	for len(o.spare) == 0 && o.flying > 0 && o.made >= aheadBuffers {
		o.take()
	}
	if n := len(o.spare); n > 0 {
		b := o.spare[n-1]
		o.spare = o.spare[:n-1]
		return b[:0]
	}
	o.made++
	return make([]byte, 0, pageBytes+pageBytes/4)
}

func (o *output) send(p piece) {
	if o.queue == nil {
		o.to.add(p, o.keep)
		return
	}
	for o.flying >= aheadBuffers {
		o.take()
	}
	o.flying++
	if p.lent {
		o.lent++
	}
	o.queue <- p
}

// take waits for a piece to come back.
func (o *output) take() { o.landed(<-o.done) }

func (o *output) landed(p piece) {
	o.flying--
	if p.lent {
		o.lent--
	}
	o.keep(p)
}

// keep keeps a piece's buffer, if it is one of fresh and has not grown much for
// one large value.
func (o *output) keep(p piece) {
	if o.err == nil {
		o.err = p.err
	}
	switch {
	case p.lent:
	case cap(p.buf) > 8*pageBytes:
		o.made--
	default:
		o.spare = append(o.spare, p.buf)
	}
}

// wait returns once what was lent may change.
func (o *output) wait() {
	for o.lent > 0 {
		o.take()
	}
}

// stop ends the goroutine, if there is one.
func (o *output) stop() {
	if o.queue != nil {
		close(o.queue)
		for p := range o.done {
			o.landed(p)
		}
		o.queue = nil
	}
}

// drain writes all that has come, and ends the goroutine.
func (o *output) drain() error {
	_ = o.flush()
	o.stop()
	if err := o.to.end(o.keep); o.err == nil {
		o.err = err
	}
	return o.err
}

// sync writes all that has come and makes the file durable.
func (o *output) sync() error {
	_ = o.drain()
	if o.err == nil && o.room > o.off {
		o.err = o.f.Truncate(o.off) // gives back the rest of the room
	}
	if o.err == nil {
		o.err = o.f.Sync()
	}
	return o.err
}

// flush writes what is buffered, or lets it be written.
func (o *output) flush() error {
	switch {
	case len(o.buf) == 0:
	case o.queue != nil:
		o.send(piece{buf: o.buf})
		o.buf = nil
	default:
		o.send(piece{buf: o.buf, lent: true})
		o.buf = o.buf[:0]
	}
	return o.err
}
