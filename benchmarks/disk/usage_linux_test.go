package disk

import (
	"io/fs"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is what the thread has used of a processor. Reads of what is in memory
// are measured by it: on a machine that others use too, wall time says how busy
// they are.
func cpuTime() time.Duration { return usage(unix.RUSAGE_THREAD) }

// processTime is what all threads have used.
func processTime() time.Duration { return usage(unix.RUSAGE_SELF) }

func usage(who int) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(who, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// onDisk is what a file takes on the disk. A length says less for a small file,
// which takes a block, and more for one with holes.
func onDisk(fi fs.FileInfo) int64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return fi.Size()
}
