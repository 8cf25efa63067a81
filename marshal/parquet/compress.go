package parquet

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// compressor holds the state of the compressions, made when first used. It is
// safe for concurrent use.
type compressor struct {
	enc func() (*zstd.Encoder, error)
	dec func() (*zstd.Decoder, error)
}

func newCompressor() *compressor {
	return &compressor{
		enc: sync.OnceValues(func() (*zstd.Encoder, error) {
			return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
		}),
		dec: sync.OnceValues(func() (*zstd.Decoder, error) {
			return zstd.NewReader(nil, zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
		}),
	}
}

// compress returns page compressed with c, or page itself for Uncompressed.
func (z *compressor) compress(c Compression, page []byte) ([]byte, error) {
	switch c {
	case Snappy:
		return s2.EncodeSnappy(nil, page), nil
	case Zstd:
		enc, err := z.enc()
		if err != nil {
			return nil, fmt.Errorf("parquet: zstd: %w", err)
		}
		return enc.EncodeAll(page, nil), nil
	}
	return page, nil
}

// decompress returns the page of size bytes that body holds. It never writes
// more than size bytes, whatever body says.
func (z *compressor) decompress(codec int, body []byte, size int) ([]byte, error) {
	switch codec {
	case codecNone:
		if len(body) != size {
			return nil, damaged("page of %d bytes where %d were declared", len(body), size)
		}
		return body, nil
	case codecSnappy:
		n, err := s2.DecodedLen(body)
		if err != nil || n != size {
			return nil, damaged("snappy page of wrong length")
		}
		page, err := s2.Decode(make([]byte, 0, size), body)
		return checkSize(page, size, err)
	case codecGzip:
		return gunzip(body, size)
	case codecZstd:
		dec, err := z.dec()
		if err != nil {
			return nil, fmt.Errorf("parquet: zstd: %w", err)
		}
		page, err := dec.DecodeAll(body, make([]byte, 0, size))
		return checkSize(page, size, err)
	}
	return nil, fmt.Errorf("parquet: compression %d: %w", codec, ErrUnsupported)
}

func checkSize(page []byte, size int, err error) ([]byte, error) {
	if err != nil {
		return nil, damaged("page does not decompress: %v", err)
	}
	if len(page) != size {
		return nil, damaged("page of %d bytes where %d were declared", len(page), size)
	}
	return page, nil
}

func gunzip(body []byte, size int) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, damaged("page does not decompress: %v", err)
	}
	page := make([]byte, size)
	if _, err := io.ReadFull(r, page); err != nil {
		return nil, damaged("page does not decompress: %v", err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		return nil, damaged("page is longer than declared")
	}
	return page, nil
}
