package marshal

import (
	"errors"
	"fmt"
	"sync"

	"github.com/stratacache/strata/store"
)

// CompressOptions are the settings of Zstd and S2. Nil and zero fields mean the
// defaults.
type CompressOptions struct {
	// MinSize is the size in bytes of an encoded value below which it is stored
	// as it is. The default is 256, under which little is gained, and 32 with a
	// dictionary.
	MinSize int
	// MaxDecoded is the largest encoded value, in bytes before compression. A
	// larger one is refused with store.ErrTooLarge, in both directions: it is
	// what a small hostile input can make Decode allocate. The default is 64
	// MiB.
	MaxDecoded int
	// Level is the effort of Zstd, 1 (fastest) to 4 (best); the default is 2.
	// S2 has no levels.
	Level int
	// Dict is a dictionary for Zstd, in the format of "zstd --train": see TrainDict. Values
	// can be read only with the dictionary that they were written with.
	Dict []byte
}

func (o *CompressOptions) resolve() (CompressOptions, error) {
	var r CompressOptions
	if o != nil {
		r = *o
	}
	switch {
	case r.MinSize < 0:
		return r, fmt.Errorf("marshal: CompressOptions.MinSize: %d is negative", r.MinSize)
	case r.MaxDecoded < 0:
		return r, fmt.Errorf("marshal: CompressOptions.MaxDecoded: %d is negative", r.MaxDecoded)
	case r.Level < 0 || r.Level > 4:
		return r, fmt.Errorf("marshal: CompressOptions.Level: %d is not between 1 and 4", r.Level)
	}
	if r.MinSize == 0 && r.Dict != nil {
		r.MinSize = 32
	}
	if r.MinSize == 0 {
		r.MinSize = 256
	}
	if r.MaxDecoded == 0 {
		r.MaxDecoded = 64 << 20
	}
	if r.Level == 0 {
		r.Level = 2
	}
	return r, nil
}

// Compressed wraps c in the compression that a rule names: "zstd" or "s2", with
// the default options. The empty name is c itself.
func Compressed[V any](c Codec[V], name string) (Codec[V], error) {
	switch name {
	case "":
		return c, nil
	case "zstd":
		return Zstd(c, nil)
	case "s2":
		return S2(c, nil)
	}
	return nil, fmt.Errorf("marshal: there is no compression %q (there are: zstd, s2)", name)
}

// The first byte of what a compressing codec writes.
const (
	storedRaw        = 0
	storedCompressed = 1
)

// packer is a compression: pack appends to dst; unpack returns a new slice, or
// an error before it allocates more than the limit.
type packer interface {
	pack(dst, src []byte) []byte
	unpack(src []byte, limit int) ([]byte, error)
}

type compressed[V any] struct {
	inner Codec[V]
	name  string
	opts  CompressOptions
	packer
}

var _ KeyedCodec[int] = compressed[int]{}

func (c compressed[V]) Name() string { return c.name }

func (c compressed[V]) Append(dst []byte, v V) ([]byte, error) {
	return c.append(dst, func(b []byte) ([]byte, error) { return c.inner.Append(b, v) })
}

func (c compressed[V]) AppendKeyed(dst []byte, key string, v V) ([]byte, error) {
	return c.append(dst, func(b []byte) ([]byte, error) { return Append(c.inner, b, key, v) })
}

func (c compressed[V]) append(dst []byte, encode func([]byte) ([]byte, error)) ([]byte, error) {
	s := getScratch()
	defer s.put()
	src, err := encode(s.b[:0])
	if err != nil {
		return dst, err
	}
	s.b = src
	if len(src) > c.opts.MaxDecoded {
		return dst, fmt.Errorf("marshal: %s: %d bytes are more than MaxDecoded %d: %w", c.name, len(src), c.opts.MaxDecoded, store.ErrTooLarge)
	}
	if len(src) >= c.opts.MinSize {
		out := c.pack(append(dst, storedCompressed), src)
		if len(out)-len(dst) <= len(src) {
			return out, nil
		}
	}
	return append(append(dst, storedRaw), src...), nil
}

func (c compressed[V]) Decode(data []byte) (V, error) {
	b, err := c.open(data)
	if err != nil {
		var zero V
		return zero, err
	}
	return c.inner.Decode(b)
}

func (c compressed[V]) DecodeKeyed(key string, data []byte) (V, error) {
	b, err := c.open(data)
	if err != nil {
		var zero V
		return zero, err
	}
	return Decode(c.inner, key, b)
}

var errNotCompressed = errors.New("not what a compressing codec wrote")

func (c compressed[V]) open(data []byte) ([]byte, error) {
	err := errNotCompressed
	if len(data) > 0 {
		switch data[0] {
		case storedRaw:
			return data[1:], nil
		case storedCompressed:
			var b []byte
			if b, err = c.unpack(data[1:], c.opts.MaxDecoded); err == nil {
				return b, nil
			}
		}
	}
	return nil, fmt.Errorf("marshal: %s: %w", c.name, err)
}

// scratch is a buffer for what is encoded only to be compressed or encrypted.
type scratch struct{ b []byte }

// maxScratch keeps one large value from holding its memory for ever.
const maxScratch = 1 << 20

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func getScratch() *scratch { return scratches.Get().(*scratch) }

func (s *scratch) put() {
	if cap(s.b) > maxScratch {
		return
	}
	clear(s.b) // it may have been encrypted for a reason
	scratches.Put(s)
}
