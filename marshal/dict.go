package marshal

import (
	"bytes"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/dict"
	"github.com/klauspost/compress/zstd"
)

// TrainDict makes a dictionary for CompressOptions.Dict of encoded values that
// are like those to come: small values of one kind then compress to a fraction of
// what they take by themselves. size is its largest size in bytes; 0 means 16 KiB.
// Some hundred samples are a good number; "zstd --train" makes dictionaries of the
// same form. It takes seconds for megabytes of samples.
//
// A dictionary is part of the data: whoever decodes needs the same one. Keep it in
// a file beside the program, and give a cache a new one only together with keys or
// a namespace of its own.
func TrainDict(samples [][]byte, size int) (d []byte, err error) {
	if size == 0 {
		size = 16 << 10
	}
	if size < 256 || len(samples) == 0 {
		return nil, fmt.Errorf("marshal: a dictionary of %d bytes from %d samples: at least 256 bytes and one sample are needed", size, len(samples))
	}
	defer func() {
		if p := recover(); p != nil { // the trainer's, on samples that have nothing in common
			d, err = nil, fmt.Errorf("marshal: the samples make no dictionary: %v", p)
		}
	}()
	d, err = dict.BuildZstdDict(samples, dict.Options{
		MaxDictSize: size, HashBytes: 6, ZstdDictID: dictID(samples), ZstdLevel: zstd.SpeedBetterCompression,
	})
	if err != nil {
		return nil, fmt.Errorf("marshal: the samples make no dictionary: %w", err)
	}
	return d, nil
}

// dictID is a number by which a decoder notices that it has another dictionary:
// one of those that the format leaves to private use.
func dictID(samples [][]byte) uint32 {
	const first, last = 1 << 15, 1<<31 - 1
	return first + crc32.ChecksumIEEE(bytes.Join(samples, nil))%(last-first)
}
