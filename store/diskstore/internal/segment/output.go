package segment

import (
	"github.com/stratacache/strata/internal/vfs"
)

// flushEvery is how many bytes are written between two syncs of a file, so that
// the last one does not stall the disk for everybody else.
const flushEvery = 32 << 20

// output writes a file in sequence, through a buffer.
type output struct {
	f        vfs.File
	buf      []byte
	off      int64 // of the end, what is buffered included
	unsynced int
	throttle func(bytes int)
	err      error
}

const bufferSize = 256 << 10

func newOutput(f vfs.File, throttle func(int)) *output {
	return &output{f: f, throttle: throttle}
}

// Write appends p. Errors stick: they are returned by flush.
func (o *output) Write(p []byte) {
	o.off += int64(len(p))
	if len(p) >= bufferSize {
		o.flush()
		o.put(p)
		return
	}
	if len(o.buf)+len(p) > bufferSize {
		o.flush()
	}
	o.buf = append(o.buf, p...)
}

func (o *output) put(p []byte) {
	if o.err != nil || len(p) == 0 {
		return
	}
	if o.throttle != nil {
		o.throttle(len(p))
	}
	if _, o.err = o.f.Write(p); o.err != nil {
		return
	}
	if o.unsynced += len(p); o.unsynced >= flushEvery {
		o.unsynced = 0
		o.err = o.f.Datasync()
	}
}

func (o *output) flush() error {
	o.put(o.buf)
	o.buf = o.buf[:0]
	return o.err
}
