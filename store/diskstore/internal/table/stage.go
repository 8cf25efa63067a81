package table

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store"
)

// Stage writes data to a temporary file beside the table rel, a path as Path
// returns it, and makes it durable, its name included. Readers see nothing of it before Commit with
// the same version. After an error there is no temporary file.
func (d *Dir) Stage(rel string, version uint64, data []byte) (Sum, error) {
	if _, err := checkRel(rel); err != nil {
		return Sum{}, err
	}
	if d.cache.isClosed() {
		return Sum{}, store.ErrClosed
	}
	tmp := tempFile(rel, version)
	d.setStaged(tmp, true)
	err := d.writeTemp(rel, tmp, data)
	if err != nil {
		d.setStaged(tmp, false)
		return Sum{}, err
	}
	return SumOf(data), nil
}

func (d *Dir) setStaged(tmp string, on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if on {
		d.staged[tmp] = struct{}{}
	} else {
		delete(d.staged, tmp)
	}
}

func (d *Dir) isStaged(tmp string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.staged[tmp]
	return ok
}

func (d *Dir) writeTemp(rel, tmp string, data []byte) error {
	f, err := d.createTemp(rel, tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && !d.opts.NoSync {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = d.syncDir(rel)
	}
	if err != nil {
		// Whatever the file holds now is not to be trusted, even if a later
		// fsync were to succeed.
		_ = d.fs.Remove(tmp)
		d.prune(rel)
	}
	return err
}

// createTemp creates the temporary file and, where it is missing, its directory.
func (d *Dir) createTemp(rel, tmp string) (vfs.File, error) {
	d.dirs.RLock()
	f, err := d.createNew(tmp)
	d.dirs.RUnlock()
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	d.dirs.Lock()
	defer d.dirs.Unlock()
	if err := d.makeDir(rel); err != nil {
		return nil, err
	}
	return d.createNew(tmp)
}

// createNew creates a file that did not exist, so that it writes through no
// link; what a crash left behind is removed first.
func (d *Dir) createNew(name string) (vfs.File, error) {
	f, err := d.fs.CreateNew(name)
	if !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	if err := d.fs.Remove(name); err != nil {
		return nil, err
	}
	return d.fs.CreateNew(name)
}

// Commit puts what Stage wrote in the place of the table's file, for readers in
// this process and all others at once. After a power failure it may be the
// temporary file again, for FinishStaged, until Settle has made it durable.
func (d *Dir) Commit(rel string, version uint64) error {
	if _, err := checkRel(rel); err != nil {
		return err
	}
	defer d.lock(rel)()
	return d.commit(rel, tempFile(rel, version))
}

func (d *Dir) commit(rel, tmp string) error {
	if err := d.fs.Rename(tmp, rel+"/"+fileName); err != nil {
		return err
	}
	d.setStaged(tmp, false)
	d.cache.drop(rel)
	return nil
}

// Settle makes the last Commit of a table durable, or its removal. A directory
// that is gone has nothing to settle.
func (d *Dir) Settle(rel string) error {
	if _, err := checkRel(rel); err != nil {
		return err
	}
	return ignoreMissing(d.syncDir(rel))
}

// FinishStaged commits what a process staged and had no time to commit. done is
// false where there is no such temporary file: it was committed, or never
// staged.
func (d *Dir) FinishStaged(rel string, version uint64) (done bool, err error) {
	if _, err := checkRel(rel); err != nil {
		return false, err
	}
	defer d.lock(rel)()
	err = d.commit(rel, tempFile(rel, version))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Abort removes what Stage wrote. It is no error if there is nothing.
func (d *Dir) Abort(rel string, version uint64) error {
	if _, err := checkRel(rel); err != nil {
		return err
	}
	tmp := tempFile(rel, version)
	err := d.fs.Remove(tmp)
	d.setStaged(tmp, false)
	d.prune(rel)
	return ignoreMissing(err)
}

// Remove removes the file of a table and the directories that are empty then.
// It is no error if there is none. Nothing is synced: after a power failure the
// file may be back, and is then a case for Sweep.
func (d *Dir) Remove(rel string) error {
	if _, err := checkRel(rel); err != nil {
		return err
	}
	err := d.removeFile(rel)
	d.prune(rel)
	return err
}

func (d *Dir) removeFile(rel string) error {
	defer d.lock(rel)()
	err := d.fs.Remove(rel + "/" + fileName)
	d.cache.drop(rel)
	return ignoreMissing(err)
}

// Move takes the file of a table out of the tables, to the path to within the
// store's directory, whose parents are made; for files that failed a check.
func (d *Dir) Move(rel, to string) error {
	if _, err := checkRel(rel); err != nil {
		return err
	}
	if !fs.ValidPath(to) {
		return fmt.Errorf("table: %q is not a path within the store's directory", to)
	}
	err := d.moveFile(rel, to)
	d.prune(rel)
	return err
}

func (d *Dir) moveFile(rel, to string) error {
	defer d.lock(rel)()
	if dir := path.Dir(to); dir != "." {
		if err := d.fs.MkdirAll(dir); err != nil {
			return err
		}
	}
	defer d.cache.drop(rel)
	return d.fs.Rename(rel+"/"+fileName, to)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
