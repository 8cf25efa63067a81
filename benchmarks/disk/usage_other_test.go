//go:build !linux

package disk

import (
	"io/fs"
	"time"
)

var started = time.Now()

// cpuTime is wall time here: the thread's own is not at hand.
func cpuTime() time.Duration { return time.Since(started) }

func processTime() time.Duration { return cpuTime() }

// onDisk is a file's length here: blocks are not at hand.
func onDisk(fi fs.FileInfo) int64 { return fi.Size() }
