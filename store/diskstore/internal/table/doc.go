// Package table keeps the table files of a store's directory: one Parquet file
// for each key whose rule spells a path, under hive names that SQL engines
// read, such as
//
//	tables/hist/symbol=AAPL/interval=1d/period=1y/data.parquet
//
// # Replacing a file
//
// [Dir.Stage] writes the new content to a temporary file in the same directory,
// whose name begins with a dot so that no "*.parquet" glob matches it, and makes
// it durable, name and all. [Dir.Commit] renames it over the old file. The name
// is always the same: whoever lists the directory meanwhile sees one version of
// each key. A caller with a journal writes its record between the two; after a
// crash it calls [Dir.FinishStaged] for the records it replays, and then
// [Dir.Sweep], which removes temporary files and tables that nobody knows.
// Before it drops a record it calls [Dir.Settle], which makes the rename
// durable.
//
// # Reading a file
//
// [Dir.Get] and [Dir.View] read through a bounded cache of mappings, so that a
// small table costs a lookup and a copy, not an open. The caller says which
// content it expects by its [Sum], which Stage returned; it is compared with
// that of the file, which is computed once for each mapping. Any difference is
// store.ErrCorrupt. A file that is cut short under its mapping is an error as
// well, not a crash. [Dir.Hold] lends the content for longer than a call.
//
// # Safety
//
// All operations go through a vfs.FS, that of the machine through os.Root: names
// cannot leave the store's directory, nor can symbolic links that somebody put
// there. Only files that this package wrote are ever removed. A Dir is safe for concurrent use, starts no goroutine,
// and holds a lock on nothing: one process writes, as diskstore sees to.
package table
