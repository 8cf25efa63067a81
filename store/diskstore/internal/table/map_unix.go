//go:build unix

package table

import (
	"os"

	"golang.org/x/sys/unix"
)

const (
	canSyncDir = true
	// openFlags keep a planted FIFO from blocking the open.
	openFlags = unix.O_NONBLOCK
)

// mapFile maps size bytes of f for reading. The mapping outlives f.
func mapFile(f *os.File, size int64) ([]byte, func([]byte), error) {
	if size == 0 {
		return nil, nil, nil
	}
	if int64(int(size)) != size {
		return nil, nil, os.NewSyscallError("mmap", unix.EFBIG)
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, os.NewSyscallError("mmap", err)
	}
	return data, func(b []byte) { _ = unix.Munmap(b) }, nil
}
