// Package transfer writes entries to files of other programs, and reads them back
// without loss: lines of JSON, CSV, and Parquet.
//
// # Fields
//
// An entry has the same fields in every format; but for key and value, what is
// absent is left out.
//
//	key, key_base64      the key: as text, or in base64 where it is none; in
//	                     Parquet key_bytes, the bytes themselves
//	value, value_base64  the value, likewise; in Parquet value is bytes
//	expires, fresh       deadlines, RFC 3339 with up to nine decimals; in Parquet
//	                     expires_at and fresh_until, timestamps in microseconds
//	version              of the write; it is for people, and not read back
//	codec                encoding of the value
//	tags, tags_base64    tags, a list of strings; in CSV and Parquet JSON in text
//
// # Hostile files
//
// Whatever a file holds, reading it takes memory for one entry, or one part of a
// Parquet directory, and ends with entries or with an error that says where.
package transfer
