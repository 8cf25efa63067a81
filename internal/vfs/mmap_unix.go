//go:build unix

package vfs

import (
	"os"
	"syscall"
)

func mapFile(f *os.File, size int) (*Mapping, error) {
	data, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	// Reads are by key: read-ahead would only push useful pages out.
	_ = syscall.Madvise(data, syscall.MADV_RANDOM)
	return &Mapping{Data: data, unmap: syscall.Munmap}, nil
}
