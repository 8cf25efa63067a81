// Package parquet encodes slices of structs as Parquet files, and decodes
// Parquet files of any writer into them. A [Codec] is a marshal.Codec; it is
// what marshal.Parquet returns.
//
// # Types
//
// Each exported field of the struct is a column, in the order of the fields;
// embedded structs are part of the row. The fields may be
//
//	bool                         BOOLEAN
//	int8 ... int64, int          INT32 or INT64, with their width and sign
//	uint8 ... uint64, uint       INT32 or INT64, with their width and sign
//	                             (int and uint: 64 bits, on 32-bit machines 32)
//	float32, float64             FLOAT, DOUBLE
//	string                       BYTE_ARRAY, UTF-8
//	[]byte                       BYTE_ARRAY
//	time.Time                    INT64 timestamp in UTC
//
// and types defined from these, or pointers to them: such columns are OPTIONAL
// and nil is null. A NaN is a NaN and never null. A column's name is that of
// the parquet tag, else of the json tag, else of the field; the tag "-" leaves
// a field out. Tags are those of parquet-go: `parquet:"name,optional"` writes a
// zero value as null, and timestamp(millisecond), timestamp(microsecond) or
// timestamp(nanosecond) set the resolution of a time.Time, or make an int64 one
// of such units. The storage hints snappy, zstd, gzip, plain, delta, dict and
// split are accepted and have no effect: [Options] decide.
//
// # Times
//
// A time.Time without a declared resolution is stored in microseconds, which
// hold every date that occurs, unless some value of the file is finer: then
// the file's undeclared time columns are in nanoseconds, which reach from 1677
// to 2262, and a time out of that is an error. So nothing is lost silently. A
// resolution in the tag is a request to round down to it. Times are read back
// in UTC; a zero time.Time comes back as one. Monotonic readings and zones are
// not kept.
//
// # What is written
//
// A plain file that every Parquet reader opens: one page for each column of a
// row group, values PLAIN and uncompressed unless [Options] say otherwise (the
// times of small groups excepted, see [Plain]), counts of nulls and bounds of
// values for each column (no bounds where there is a NaN, since readers order
// it differently), and the first time column declared as sorted where its rows
// are. Rows keep their order. Encoding costs little more than copying the
// values: the metadata is rendered when the codec is made, and rows are read by
// offset, without reflection.
//
// # What is read
//
// Files laid out like that are read in place, without an intermediate form.
// Other files may have their columns in any order and hold others, which are
// ignored; data pages of version 1 and 2; dictionaries; the encodings PLAIN,
// RLE, DELTA_BINARY_PACKED, DELTA_LENGTH_BYTE_ARRAY and BYTE_STREAM_SPLIT; the
// compressions Snappy, gzip and Zstandard; timestamps in any unit, local ones
// being taken for UTC; dates; INT96 times. A column that is missing in the file
// leaves its fields zero, so that a struct may gain fields; a file that has
// none of the columns is [ErrMismatch].
//
// Numbers are converted where no value changes: int32 to int64, float64 to
// int64 while they are whole, and so on. A value that does not fit, a null for
// a field that is neither a pointer nor optional, and a column of another type
// are [ErrMismatch]. A null in an optional field that is not a pointer is its
// zero value.
//
// # Hostile files
//
// Nothing in a file is trusted: lengths and counts are compared with the input
// before anything is allocated, decompression stops at the declared size, and
// all memory that a file makes the decoder take is bounded by
// Options.MaxExpansion. Damage that can be seen is store.ErrCorrupt. Parquet
// itself detects no flipped bits in values; see Options.Checksums.
package parquet
