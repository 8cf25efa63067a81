package vfs

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// datasync flushes a file's data without waiting for timestamps and the like.
func datasync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err == syscall.EINTR {
			continue
		}
		return os.NewSyscallError("fdatasync", err)
	}
}

// writeAll leaves to Write what writev, which may write a part only, has left.
func writeAll(f *os.File, bufs [][]byte) error {
	const most = 1024 // IOV_MAX
	for len(bufs) > 0 {
		n, err := unix.Writev(int(f.Fd()), bufs[:min(len(bufs), most)])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("writev", err)
		}
		for len(bufs) > 0 && n >= len(bufs[0]) {
			n -= len(bufs[0])
			bufs = bufs[1:]
		}
		if n > 0 {
			if _, err := f.Write(bufs[0][n:]); err != nil {
				return err
			}
			bufs = bufs[1:]
		}
	}
	return nil
}

func writeBack(f *os.File, off, n int64) {
	const begin = 2 // SYNC_FILE_RANGE_WRITE
	_ = syscall.SyncFileRange(int(f.Fd()), off, n, begin)
}

func allocate(f *os.File, n int64) {
	const keepSize = 1 // FALLOC_FL_KEEP_SIZE
	_ = syscall.Fallocate(int(f.Fd()), keepSize, 0, n)
}

// populate goes piece by piece, so that nobody who maps or faults waits long.
func populate(data []byte) {
	const piece = 1 << 20
	for ; len(data) > 0; data = data[min(piece, len(data)):] {
		if unix.Madvise(data[:min(piece, len(data))], unix.MADV_POPULATE_READ) != nil {
			return
		}
	}
}
