// Package interop tests that other software reads what strata writes to disk,
// and the reverse: DuckDB and Apache Arrow in this process, pandas and polars
// (nodejs-polars, found by NODE_PATH) where they are installed. It is a module of
// its own, since DuckDB needs cgo and brings a large library along.
package interop
