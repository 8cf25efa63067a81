package resp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// The limits of lines, as in Redis: of an inline request, and of a length.
const maxLine = 64 << 10

// MaxArgs is the greatest number of arguments of a request, that of Redis before
// it was raised: each takes memory beside its bytes.
const MaxArgs = 1 << 20

// ProtocolError is a request that is not RESP. The connection cannot go on.
type ProtocolError struct{ Msg string }

func (e *ProtocolError) Error() string { return "Protocol error: " + e.Msg }

func broken(format string, args ...any) error {
	return &ProtocolError{fmt.Sprintf(format, args...)}
}

// span is where an argument lies, from the beginning of its request.
type span struct{ at, n int }

// Reader parses requests. It is not safe for concurrent use.
type Reader struct {
	src io.Reader
	buf []byte
	r   int // beginning of the request under way
	pos int // what is parsed of it, from r
	w   int // end of what was read

	left   int // arguments to come; 0: no request is under way
	length int // of the argument to come; -1: not known yet
	spans  []span
	args   [][]byte

	max   int // bytes of a request
	timid bool
}

// minBuffer is the size of a buffer that nothing has needed to be larger. keepBuffer
// is the largest that a connection keeps when it has nothing in it.
const (
	minBuffer  = 1 << 10
	keepBuffer = 64 << 10
)

// NewReader returns a reader of requests of at most max bytes each.
func NewReader(src io.Reader, max int) *Reader {
	return &Reader{src: src, max: max, length: -1}
}

// SetTimid sets whether only small requests are taken, as from a client that has
// yet to say who it is.
func (rd *Reader) SetTimid(timid bool) { rd.timid = timid }

// Buffered returns the number of bytes that were read and not yet returned.
func (rd *Reader) Buffered() int { return rd.w - rd.r }

// Fill reads more. It is called when Next has said that there is no whole request.
func (rd *Reader) Fill() error {
	rd.makeRoom()
	n, err := rd.src.Read(rd.buf[rd.w:])
	rd.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// makeRoom makes sure that there is room behind w.
func (rd *Reader) makeRoom() {
	if rd.r == rd.w {
		rd.r, rd.w, rd.pos = 0, 0, 0
		if len(rd.buf) > keepBuffer {
			rd.buf = nil
		}
	}
	switch {
	case rd.buf == nil:
		rd.buf = make([]byte, minBuffer)
	case rd.w < len(rd.buf):
	case rd.r > len(rd.buf)/2:
		copy(rd.buf, rd.buf[rd.r:rd.w])
		rd.w -= rd.r
		rd.r = 0
	default:
		bigger := make([]byte, 2*len(rd.buf))
		rd.w = copy(bigger, rd.buf[rd.r:rd.w])
		rd.r = 0
		rd.buf = bigger
	}
}

// Next returns the next request that has arrived in whole, or ok false where Fill
// is needed. The arguments are good until the next Fill, and their slice until the
// next Next. An empty request is passed over. An error is a *ProtocolError.
func (rd *Reader) Next() (args [][]byte, ok bool, err error) {
	for rd.r < rd.w {
		if rd.left == 0 {
			ok, err := rd.begin()
			if err != nil || !ok {
				return nil, false, err
			}
			if len(rd.args) > 0 {
				return rd.args, true, nil // it was inline
			}
			continue
		}
		ok, err := rd.more()
		if err != nil || !ok {
			return nil, false, err
		}
		return rd.finish(), true, nil
	}
	return nil, false, nil
}

// finish returns the arguments of the request that is complete.
func (rd *Reader) finish() [][]byte {
	rd.args = rd.args[:0]
	b := rd.buf[rd.r:]
	for _, s := range rd.spans {
		rd.args = append(rd.args, b[s.at:s.at+s.n:s.at+s.n])
	}
	rd.r += rd.pos
	rd.pos, rd.left = 0, 0
	if cap(rd.spans) > 4096 {
		rd.spans = nil
	}
	return rd.args
}

// line returns the next line without its end; ok is false where it has not come.
func (rd *Reader) line(what string) (line []byte, ok bool, err error) {
	b := rd.buf[rd.r+rd.pos : rd.w]
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		if len(b) > maxLine {
			return nil, false, broken("too big %s", what)
		}
		return nil, false, nil
	}
	rd.pos += end + 1
	if end > 0 && b[end-1] == '\r' {
		end--
	}
	return b[:end], true, nil
}

// begin reads the first line of a request.
func (rd *Reader) begin() (ok bool, err error) {
	rd.args = rd.args[:0]
	if rd.buf[rd.r] != '*' {
		return rd.inline()
	}
	line, ok, err := rd.line("mbulk count string")
	if err != nil || !ok {
		return false, err
	}
	n, valid := Int(line[1:])
	switch {
	case !valid || n > MaxArgs:
		return false, broken("invalid multibulk length")
	case n > 10 && rd.timid:
		return false, broken("unauthenticated multibulk length")
	case n <= 0:
		rd.r += rd.pos
		rd.pos = 0
		return true, nil
	}
	rd.left, rd.length, rd.spans = int(n), -1, rd.spans[:0]
	return true, nil
}

// more reads the arguments of a request.
func (rd *Reader) more() (ok bool, err error) {
	for rd.left > 0 {
		if rd.length < 0 {
			if ok, err := rd.bulkLength(); err != nil || !ok {
				return false, err
			}
		}
		if rd.w-rd.r-rd.pos < rd.length+2 {
			return false, nil
		}
		rd.spans = append(rd.spans, span{rd.pos, rd.length})
		rd.pos += rd.length + 2
		rd.left, rd.length = rd.left-1, -1
	}
	return true, nil
}

func (rd *Reader) bulkLength() (ok bool, err error) {
	if rd.r+rd.pos == rd.w {
		return false, nil
	}
	if c := rd.buf[rd.r+rd.pos]; c != '$' {
		if _, whole, err := rd.line("bulk count string"); err != nil || !whole {
			return false, err
		}
		return false, broken("expected '$', got '%c'", c)
	}
	line, ok, err := rd.line("bulk count string")
	if err != nil || !ok {
		return false, err
	}
	n, valid := Int(line[1:])
	switch {
	case !valid || n < 0 || n > int64(rd.max):
		return false, broken("invalid bulk length")
	case n > 16384 && rd.timid:
		return false, broken("unauthenticated bulk length")
	case rd.pos+int(n) > rd.max+64:
		return false, broken("too big request")
	}
	rd.length = int(n)
	return true, nil
}

var errQuotes = errors.New("unbalanced quotes in request")

// inline reads a request that a person typed. It leaves no arguments where the
// line is empty.
func (rd *Reader) inline() (ok bool, err error) {
	line, ok, err := rd.line("inline request")
	if err != nil || !ok {
		return false, err
	}
	rd.r += rd.pos
	rd.pos = 0
	words, err := split(line)
	if err != nil {
		return false, broken("%v", err)
	}
	rd.args = append(rd.args, words...)
	return true, nil
}
