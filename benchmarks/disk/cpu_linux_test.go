package disk

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is what the thread has used of a processor. Reads of what is in memory
// are measured by it: on a machine that others use too, wall time says how busy
// they are.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
