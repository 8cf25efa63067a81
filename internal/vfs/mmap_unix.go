//go:build unix

package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

const (
	canSyncDir = true
	// noWait keeps a planted FIFO from blocking the open.
	noWait = unix.O_NONBLOCK
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

// WillNeed tells the system that all of the mapping is about to be read.
func (m *Mapping) WillNeed() {
	if m != nil && m.unmap != nil {
		_ = unix.Madvise(m.Data, unix.MADV_NORMAL)
		_ = unix.Madvise(m.Data, unix.MADV_WILLNEED)
	}
}

// Populate enters the whole mapping into the process's page table, where the
// system can: reads then meet no page faults. What is not in memory is read.
func (m *Mapping) Populate() {
	if m != nil && m.unmap != nil {
		populate(m.Data)
	}
}
