package segment

import (
	"github.com/stratacache/strata/internal/vfs"
)

// flushEvery is how many bytes are written between two syncs of a file, so that
// the last one does not stall the disk for everybody else. They run beside the
// writing, one at a time.
const flushEvery = 16 << 20

// output writes a file in sequence, through a buffer.
type output struct {
	f        vfs.File
	buf      []byte
	off      int64 // of the end, what is buffered included
	unsynced int
	syncing  chan error // of the sync under way; nil: none
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
		if o.settle(); o.err == nil {
			done := make(chan error, 1)
			o.syncing = done
			go func() { done <- o.f.Datasync() }()
		}
	}
}

// settle waits for the sync under way.
func (o *output) settle() {
	if o.syncing == nil {
		return
	}
	if err := <-o.syncing; o.err == nil {
		o.err = err
	}
	o.syncing = nil
}

// sync writes what is buffered and makes the file durable.
func (o *output) sync() error {
	o.settle()
	if err := o.flush(); err != nil {
		return err
	}
	o.settle()
	if o.err == nil {
		o.err = o.f.Sync()
	}
	return o.err
}

func (o *output) flush() error {
	o.put(o.buf)
	o.buf = o.buf[:0]
	return o.err
}
