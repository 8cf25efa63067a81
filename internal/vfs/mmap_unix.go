//go:build unix

package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

func mapFile(f *os.File, size int) (*Mapping, error) {
	data, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	// Reads are by key: read-ahead would only push useful pages out.
	_ = unix.Madvise(data, unix.MADV_RANDOM)
	return &Mapping{Data: data, unmap: unix.Munmap}, nil
}
