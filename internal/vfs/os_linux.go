package vfs

import (
	"os"
	"syscall"
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
