package table

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Info describes a table file.
type Info struct {
	Rel  string // its directory, as Path returns it
	Size int64
}

// Walk calls f for every table file, in the order of their paths. An error of f
// ends the walk and is returned.
func (d *Dir) Walk(f func(Info) error) error {
	return d.walk(func(p string, e fs.DirEntry) error {
		if path.Base(p) != fileName || !e.Type().IsRegular() {
			return nil
		}
		info, err := d.fs.Stat(p)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		if err != nil {
			return err
		}
		return f(Info{Rel: path.Dir(p), Size: info.Size()})
	})
}

// walk calls f for everything below the tables directory, in the order of the
// names. Links are not followed. What vanishes meanwhile is passed over.
func (d *Dir) walk(f func(p string, e fs.DirEntry) error) error {
	info, err := d.fs.Stat(top)
	if err != nil || !info.IsDir() {
		return ignoreMissing(err)
	}
	return d.walkDir(top, f)
}

func (d *Dir) walkDir(dir string, f func(p string, e fs.DirEntry) error) error {
	entries, err := d.fs.ReadDir(dir)
	if err != nil {
		return ignoreMissing(err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		p := dir + "/" + e.Name()
		if err := f(p, e); err != nil {
			return err
		}
		if e.IsDir() {
			if err := d.walkDir(p, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// Swept says what Sweep removed.
type Swept struct {
	Temps, Tables int
	Bytes         int64
}

// Sweep removes temporary files that no Stage of this process owns, the files
// of tables for which keep reports false, and empty directories. Files of other
// names stay. keep is called with the table locked; it must report true for a
// table from before its Stage, or be called while nothing is staged.
func (d *Dir) Sweep(keep func(rel string) bool) (Swept, error) {
	var (
		swept Swept
		dirs  []string
		fails []error
	)
	err := d.walk(func(p string, e fs.DirEntry) error {
		if e.IsDir() {
			dirs = append(dirs, p)
			return nil
		}
		if err := d.sweepFile(p, e, keep, &swept); err != nil {
			fails = append(fails, err)
		}
		return nil
	})
	slices.Reverse(dirs) // children before their parents
	d.dirs.Lock()
	defer d.dirs.Unlock()
	for _, dir := range dirs {
		_ = d.fs.Remove(dir) // fails unless it is empty
	}
	return swept, errors.Join(append(fails, err)...)
}

// sweepFile removes p if nobody needs it.
func (d *Dir) sweepFile(p string, e fs.DirEntry, keep func(string) bool, swept *Swept) error {
	rel, name := path.Dir(p), path.Base(p)
	if name != fileName && !isTemp(name) {
		return nil
	}
	info, err := d.fs.Stat(p)
	if err != nil {
		return ignoreMissing(err)
	}
	defer d.lock(rel)()
	if isTemp(name) && d.isStaged(p) || name == fileName && keep(rel) {
		return nil
	}
	if err := d.fs.Remove(p); err != nil {
		return ignoreMissing(err)
	}
	if name == fileName {
		d.cache.drop(rel)
		swept.Tables++
	} else {
		swept.Temps++
	}
	swept.Bytes += info.Size()
	return nil
}
