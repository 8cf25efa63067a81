package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sort"
	"strconv"
	"strings"
)

const (
	suffix      = ".wal"
	sparePrefix = "spare-"
)

func (j *Journal) name(num uint64) string {
	return path.Join(j.dir, fmt.Sprintf("%08d%s", num, suffix))
}

// fileNumber returns the number in the name of a journal file.
func fileNumber(name string) (uint64, bool) {
	base, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(base, 10, 64)
	return n, err == nil && n > 0 && n < 1<<62 && fmt.Sprintf("%08d", n) == base
}

// list finds the files of the directory and removes left-over spares.
func (j *Journal) list() error {
	entries, err := j.fs.ReadDir(j.dir)
	if errors.Is(err, fs.ErrNotExist) && j.opts.ReadOnly {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), sparePrefix) && !j.opts.ReadOnly {
			_ = j.fs.Remove(path.Join(j.dir, e.Name()))
		}
		num, ok := fileNumber(e.Name())
		if !ok || !e.Type().IsRegular() {
			continue
		}
		f := file{num: num, failed: true} // its end is not known: do not use again
		if fi, err := e.Info(); err == nil {
			f.size = fi.Size()
		}
		j.files = append(j.files, f)
		j.cur.num = max(j.cur.num, num+1)
	}
	sort.Slice(j.files, func(a, b int) bool { return j.files[a].num < j.files[b].num })
	return nil
}

// openFile ends the current file and begins the next. It is called by the
// writing goroutine.
func (j *Journal) openFile(hd head) error {
	if j.w.f != nil {
		if j.opts.Sync != SyncNever {
			if err := j.syncFile(); err != nil {
				return err
			}
		}
		_ = j.w.f.Close()
	}
	j.w = writer{num: hd.num}
	j.filesMu.Lock()
	j.files = append(j.files, file{num: hd.num, first: hd.first, failed: true})
	j.filesMu.Unlock()
	if err := j.createFile(hd); err != nil {
		return err
	}
	j.mark(hd.num, false)
	return nil
}

func (j *Journal) createFile(hd head) (err error) {
	w := &j.w
	name := j.name(hd.num)
	if spare := j.takeSpare(); spare != "" {
		err = j.fs.Rename(spare, name)
		if err == nil {
			w.f, err = j.fs.OpenRW(name)
		}
		if err == nil {
			w.zeroed, err = w.f.Size()
		}
	} else {
		w.f, err = j.fs.Create(name)
	}
	if err == nil {
		err = j.extend(min(minZero, j.opts.FileSize))
	}
	if err == nil {
		_, err = w.f.WriteAt(hd.encode(), 0)
	}
	if err != nil {
		return err
	}
	w.off, w.dirty = fileHeader, true
	if j.opts.Sync == SyncNever {
		return nil
	}
	if err := j.syncFile(); err != nil {
		return err
	}
	return j.fs.SyncDir(j.dir)
}

// grew notes the size of the current file.
func (j *Journal) grew(size int64) {
	j.filesMu.Lock()
	defer j.filesMu.Unlock()
	for i := range j.files {
		if f := &j.files[i]; f.num == j.w.num {
			f.size = max(f.size, size, j.w.zeroed)
		}
	}
}

// mark notes whether a file must not be used again.
func (j *Journal) mark(num uint64, failed bool) {
	j.filesMu.Lock()
	defer j.filesMu.Unlock()
	for i := range j.files {
		if f := &j.files[i]; f.num == num {
			f.failed = failed
			f.size = max(f.size, j.w.zeroed)
		}
	}
}

// held returns the bytes of all files but the spares.
func (j *Journal) held() int64 {
	j.filesMu.Lock()
	defer j.filesMu.Unlock()
	var n int64
	for _, f := range j.files {
		n += f.size
	}
	return n
}

// Size returns the bytes that the journal takes on the disk, spares included.
func (j *Journal) Size() int64 {
	j.filesMu.Lock()
	spares := int64(0)
	for _, s := range j.spares {
		spares += s.size
	}
	j.filesMu.Unlock()
	return j.held() + spares
}

// TruncateBefore drops the files that hold only records before seq. Records
// before seq in a file that stays will be replayed again.
func (j *Journal) TruncateBefore(seq uint64) error {
	if j.opts.ReadOnly {
		return j.Err()
	}
	j.settle()
	j.mu.Lock()
	cur, after := j.cur.num, j.next // after: the first sequence after the last file
	if j.begun {
		after = j.cur.first
	}
	j.mu.Unlock()

	j.filesMu.Lock()
	defer j.filesMu.Unlock()
	n := 0
	for n < len(j.files) && j.files[n].num != cur {
		end := after
		if n+1 < len(j.files) {
			end = j.files[n+1].first
		}
		if end > seq {
			break
		}
		n++
	}
	if n == 0 {
		return nil
	}
	for i, f := range j.files[:n] {
		if err := j.dropFile(f); err != nil {
			j.files = j.files[i:]
			return err
		}
	}
	j.files = append([]file(nil), j.files[n:]...)
	return j.fs.SyncDir(j.dir)
}

// settle waits until what was appended so far has reached its file, or failed.
func (j *Journal) settle() {
	j.mu.Lock()
	if j.broken() != nil {
		j.mu.Unlock()
		return
	}
	b := j.push(&batch{done: make(chan struct{})})
	j.mu.Unlock()
	j.signal()
	<-b.done
}

// Drain waits until all that was appended so far was handed to the system, where
// it outlives the process.
func (j *Journal) Drain(ctx context.Context) error {
	j.mu.Lock()
	if err := j.broken(); err != nil {
		j.mu.Unlock()
		return err
	}
	b := j.push(&batch{done: make(chan struct{})})
	j.mu.Unlock()
	j.signal()
	return wait(ctx, b)
}

// dropFile removes a file or makes it a spare.
func (j *Journal) dropFile(f file) error {
	name := j.name(f.num)
	if f.failed || len(j.spares) >= j.opts.Spares || f.size > j.opts.FileSize {
		err := j.fs.Remove(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	spare := path.Join(j.dir, fmt.Sprintf("%s%d", sparePrefix, f.num))
	if err := j.fs.Rename(name, spare); err != nil {
		return err
	}
	j.spares = append(j.spares, spareFile{spare, f.size})
	return nil
}

func (j *Journal) takeSpare() string {
	j.filesMu.Lock()
	defer j.filesMu.Unlock()
	n := len(j.spares)
	if n == 0 {
		return ""
	}
	s := j.spares[n-1]
	j.spares = j.spares[:n-1]
	return s.name
}

// dropSpares removes the spare files.
func (j *Journal) dropSpares() {
	j.filesMu.Lock()
	defer j.filesMu.Unlock()
	for _, s := range j.spares {
		_ = j.fs.Remove(s.name)
	}
	j.spares = nil
}
