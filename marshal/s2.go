package marshal

import (
	"fmt"
	"slices"

	"github.com/klauspost/compress/s2"

	"github.com/stratacache/strata/store"
)

// S2 compresses what inner encodes with S2, an extension of Snappy, which is
// the faster and larger choice. One byte before the data says whether it is
// compressed.
func S2[V any](inner Codec[V], opts *CompressOptions) (Codec[V], error) {
	o, err := opts.resolve()
	if err != nil {
		return nil, err
	}
	if o.Dict != nil {
		return nil, fmt.Errorf("marshal: CompressOptions.Dict: S2 takes none")
	}
	return compressed[V]{inner: inner, name: inner.Name() + "+s2", opts: o, packer: s2Packer{}}, nil
}

type s2Packer struct{}

func (s2Packer) pack(dst, src []byte) []byte {
	dst = slices.Grow(dst, s2.MaxEncodedLen(len(src)))
	out := s2.Encode(dst[len(dst):cap(dst)], src)
	return dst[:len(dst)+len(out)]
}

func (s2Packer) unpack(src []byte, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(src)
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("%d bytes decompressed: %w", n, store.ErrTooLarge)
	}
	return s2.Decode(nil, src)
}
