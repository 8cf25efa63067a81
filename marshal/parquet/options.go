package parquet

import "fmt"

// Compression is the codec of the pages.
type Compression int

// The compressions that this package writes. It reads GZIP pages as well.
const (
	// Uncompressed pages are read in place and by row, which is what makes a
	// small table cheap. It is the default.
	Uncompressed Compression = iota
	// Snappy is what most other writers use.
	Snappy
	// Zstd gives the smallest files.
	Zstd
)

// Encoding is how values are laid out in a page.
type Encoding int

// The encodings that this package writes.
const (
	// Plain puts fixed-width values next to each other, but for the times of
	// row groups of up to 4,096 rows, of which the differences are packed
	// (DELTA_BINARY_PACKED). It is the default.
	Plain Encoding = iota
	// Compact packs the differences of all integers and times, with or without
	// Compression. Their rows can then no longer be read in place.
	Compact
)

// Options adjust a Codec. A nil *Options and zero fields mean the defaults.
type Options struct {
	// RowGroupRows is the largest number of rows in a row group, by which
	// readers skip what they do not need. 0 means 65,536.
	RowGroupRows int
	// Compression of the pages; Uncompressed by default.
	Compression Compression
	// Encoding of the values; Plain by default.
	Encoding Encoding
	// Checksums adds a CRC-32 to every page, for readers that get the file
	// over a way that does not check by itself. Pages of any writer that carry
	// one are always verified.
	Checksums bool
	// TimeColumn names the column that Range selects by. Empty means the first
	// column that holds a time.Time.
	TimeColumn string
	// MaxExpansion bounds the memory that Decode takes for a hostile or very
	// well compressed file: 4 MiB plus MaxExpansion times the length of the
	// data. 0 means 256. Append refuses rows that Decode would refuse for it,
	// such as a million of nothing but nulls.
	MaxExpansion int
}

const (
	defaultGroupRows    = 1 << 16
	defaultMaxExpansion = 256
	maxGroupRows        = 1 << 27
)

// allowance is the memory that decoding a file of n bytes may take.
func (o *Options) allowance(n int) int64 { return 4<<20 + int64(o.MaxExpansion)*int64(n) }

// resolved returns the options with defaults filled in, or an error that names
// the field that is wrong.
func (o *Options) resolved() (Options, error) {
	var r Options
	if o != nil {
		r = *o
	}
	if r.RowGroupRows < 0 || r.RowGroupRows > maxGroupRows {
		return r, fmt.Errorf("parquet: Options.RowGroupRows: %d is not between 0 and %d", r.RowGroupRows, maxGroupRows)
	}
	if r.Compression < Uncompressed || r.Compression > Zstd {
		return r, fmt.Errorf("parquet: Options.Compression: unknown value %d", r.Compression)
	}
	if r.Encoding < Plain || r.Encoding > Compact {
		return r, fmt.Errorf("parquet: Options.Encoding: unknown value %d", r.Encoding)
	}
	if r.MaxExpansion < 0 || r.MaxExpansion > 1<<30 {
		return r, fmt.Errorf("parquet: Options.MaxExpansion: %d is not between 0 and %d", r.MaxExpansion, 1<<30)
	}
	if r.RowGroupRows == 0 {
		r.RowGroupRows = defaultGroupRows
	}
	if r.MaxExpansion == 0 {
		r.MaxExpansion = defaultMaxExpansion
	}
	return r, nil
}
