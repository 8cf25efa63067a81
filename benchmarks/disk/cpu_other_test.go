//go:build !linux

package disk

import "time"

var started = time.Now()

// cpuTime is wall time here: the thread's own is not at hand.
func cpuTime() time.Duration { return time.Since(started) }

func processTime() time.Duration { return cpuTime() }
