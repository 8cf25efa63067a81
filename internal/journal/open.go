package journal

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"

	"github.com/stratacache/strata/internal/vfs"
)

// Open opens the journal in dir, creating it if it is not there. Call Replay
// next: appends fail before it.
func Open(dir string, opts *Options) (*Journal, error) {
	j := &Journal{dir: dir, next: 1, err: errReplayFirst, wake: make(chan struct{}, 1), appended: make(chan struct{}, 1), done: make(chan struct{})}
	j.cur = head{num: 1, epoch: rand.Uint64()}
	if opts != nil {
		j.opts = *opts
	}
	if err := j.opts.defaults(); err != nil {
		return nil, err
	}
	if j.fs = j.opts.FS; j.fs == nil {
		if err := j.openDir(); err != nil {
			return nil, err
		}
	} else if !j.opts.ReadOnly {
		if err := j.fs.MkdirAll(dir); err != nil {
			return nil, err
		}
	}
	if err := j.list(); err != nil {
		return nil, errors.Join(err, j.release())
	}
	if j.opts.ReadOnly {
		j.err = errReadOnly
		close(j.done)
	} else {
		go j.run()
	}
	return j, nil
}

// openDir opens the machine's directory j.dir and locks it.
func (j *Journal) openDir() error {
	if !j.opts.ReadOnly {
		if err := os.MkdirAll(j.dir, 0o755); err != nil {
			return err
		}
	}
	fsys, err := vfs.OS(j.dir)
	if err != nil {
		return err
	}
	j.fs, j.dir, j.own = fsys, ".", []io.Closer{fsys}
	if j.opts.ReadOnly {
		return nil
	}
	lock, err := fsys.Lock("LOCK")
	if err != nil {
		return errors.Join(err, j.release())
	}
	j.own = append(j.own, lock)
	return nil
}

func (j *Journal) release() error {
	var errs []error
	for i := len(j.own) - 1; i >= 0; i-- {
		errs = append(errs, j.own[i].Close())
	}
	j.own = nil
	return errors.Join(errs...)
}
