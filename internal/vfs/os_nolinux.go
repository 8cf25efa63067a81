//go:build !linux

package vfs

import "os"

func datasync(f *os.File) error { return f.Sync() }

func writeAll(f *os.File, bufs [][]byte) error { return writeEach(f, bufs) }

func writeBack(*os.File, int64, int64) {}

func allocate(*os.File, int64) {}

func populate([]byte) {}
