// Package interop tests that other software reads what strata writes to disk,
// and the reverse: DuckDB and Apache Arrow in this process, pandas where it is
// installed. It is a module of its own, since DuckDB needs cgo and brings a large
// library along.
package interop
