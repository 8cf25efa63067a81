//go:build !unix

package vfs

import (
	"io"
	"os"
)

// mapFile reads the file into memory: this platform has no mapping in the
// standard library.
const (
	canSyncDir = false
	noWait     = 0
)

func mapFile(f *os.File, size int) (*Mapping, error) {
	data := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, int64(size)), data); err != nil {
		return nil, err
	}
	return &Mapping{Data: data}, nil
}

// WillNeed tells the system that all of the mapping is about to be read.
func (m *Mapping) WillNeed() {}

// Populate enters the whole mapping into the process's page table.
func (m *Mapping) Populate() {}
