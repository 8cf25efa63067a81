package segment

import (
	"github.com/stratacache/strata/internal/vfs"
)

// writeBackEvery is how many bytes are written before the system is told to put
// them on the disk, beside the writing: the sync at the end finds little to do,
// and does not stall the disk for everybody else.
const writeBackEvery = 8 << 20

// output writes a file in sequence, through a buffer.
type output struct {
	f        vfs.File
	buf      []byte
	off      int64 // of the end, what is buffered included
	begun    int64 // up to here the system has been told to write
	put      int64 // bytes written
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
		o.write(p)
		return
	}
	if len(o.buf)+len(p) > bufferSize {
		o.flush()
	}
	o.buf = append(o.buf, p...)
}

func (o *output) write(p []byte) {
	if o.err != nil || len(p) == 0 {
		return
	}
	if o.throttle != nil {
		o.throttle(len(p))
	}
	if _, o.err = o.f.Write(p); o.err != nil {
		return
	}
	if o.put += int64(len(p)); o.put-o.begun >= writeBackEvery {
		o.f.WriteBack(o.begun, o.put-o.begun)
		o.begun = o.put
	}
}

// sync writes what is buffered and makes the file durable.
func (o *output) sync() error {
	if err := o.flush(); err != nil {
		return err
	}
	o.err = o.f.Sync()
	return o.err
}

func (o *output) flush() error {
	o.write(o.buf)
	o.buf = o.buf[:0]
	return o.err
}
