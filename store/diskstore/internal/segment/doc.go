// Package segment writes and reads sealed segments: a plain Parquet file that
// any reader opens, and beside it an index that is mapped into memory.
//
// # Why it is fast
//
// In a Parquet file whose columns are REQUIRED, PLAIN and uncompressed, a value
// is one contiguous range of the file. The index maps the hash of a key to that
// range, so that a read is a probe of the index and one slice of a mapping,
// without decoding Parquet.
//
// # Why it is safe
//
// Each record of the index has a CRC32C of its row. The index itself is checked
// page by page, once, when a page is first used, so that opening does not read
// it. Reading needs no trust in any length or offset of a file: all are checked
// against the mappings. Callers guard against memory faults (a file cut short
// under its mapping) with debug.SetPanicOnFault and recover.
//
// docs/format.md has the layout.
package segment
