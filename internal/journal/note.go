package journal

import (
	"io"
	"path"
)

// maxNote bounds what ReadNote reads.
const maxNote = 4096

// WriteNote replaces a small file beside the journal, in one step for who reads it.
// After a power failure it may be as it was before, or empty.
func (j *Journal) WriteNote(name string, data []byte) error {
	tmp := path.Join(j.dir, name+".tmp")
	f, err := j.fs.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = j.fs.Remove(tmp)
		return err
	}
	return j.fs.Rename(tmp, path.Join(j.dir, name))
}

// ReadNote returns what WriteNote wrote, and an error that is fs.ErrNotExist where
// there is none.
func (j *Journal) ReadNote(name string) ([]byte, error) {
	f, err := j.fs.Open(path.Join(j.dir, name))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.NewSectionReader(f, 0, maxNote))
}
