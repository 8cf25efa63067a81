package marshal

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/stratacache/strata/store"
)

// Zstd compresses what inner encodes with Zstandard, which is the smaller and
// slower choice. One byte before the data says whether it is compressed.
func Zstd[V any](inner Codec[V], opts *CompressOptions) (Codec[V], error) {
	o, err := opts.resolve()
	if err != nil {
		return nil, err
	}
	p, err := newZstd(o)
	if err != nil {
		return nil, fmt.Errorf("marshal: CompressOptions.Dict: %w", err)
	}
	return compressed[V]{inner: inner, name: inner.Name() + "+zstd", opts: o, packer: p}, nil
}

type zstdPacker struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

// defaultZstd is shared by all codecs with the default options: an encoder
// holds megabytes of tables once it was used.
var defaultZstd = sync.OnceValues(func() (*zstdPacker, error) {
	o, err := (*CompressOptions)(nil).resolve()
	if err != nil {
		return nil, err
	}
	return makeZstd(o)
})

func newZstd(o CompressOptions) (*zstdPacker, error) {
	if d, _ := (*CompressOptions)(nil).resolve(); o.Level == d.Level && o.MaxDecoded == d.MaxDecoded && o.Dict == nil {
		return defaultZstd()
	}
	return makeZstd(o)
}

// minDecoderMemory is the window that an encoder may use even for a small
// value: a decoder with less refuses what it could read.
const minDecoderMemory = 8 << 20

func makeZstd(o CompressOptions) (*zstdPacker, error) {
	eopts := []zstd.EOption{
		zstd.WithEncoderLevel(zstd.EncoderLevel(o.Level)),
		zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)),
		zstd.WithZeroFrames(true),
	}
	dopts := []zstd.DOption{
		zstd.WithDecoderMaxMemory(uint64(max(o.MaxDecoded, minDecoderMemory))),
		zstd.WithDecoderConcurrency(0),
	}
	if o.Dict != nil {
		eopts = append(eopts, zstd.WithEncoderDict(o.Dict))
		dopts = append(dopts, zstd.WithDecoderDicts(o.Dict))
	}
	enc, err := zstd.NewWriter(nil, eopts...)
	if err != nil {
		return nil, err
	}
	dec, err := zstd.NewReader(nil, dopts...)
	if err != nil {
		return nil, err
	}
	return &zstdPacker{enc, dec}, nil
}

func (p *zstdPacker) pack(dst, src []byte) []byte { return p.enc.EncodeAll(src, dst) }

// unpack reads the declared size first: the decoder's own check comes after it
// rounded the size up to a window.
func (p *zstdPacker) unpack(src []byte, limit int) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(src); err != nil {
		return nil, err
	}
	if h.HasFCS && h.FrameContentSize > uint64(limit) {
		return nil, fmt.Errorf("%d bytes decompressed: %w", h.FrameContentSize, store.ErrTooLarge)
	}
	out, err := p.dec.DecodeAll(src, nil)
	if err == nil && len(out) > limit {
		return nil, fmt.Errorf("%d bytes decompressed: %w", len(out), store.ErrTooLarge)
	}
	return out, err
}
