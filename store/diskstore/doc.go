// Package diskstore is a store on the local disk whose files are plain Parquet.
package diskstore
