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
