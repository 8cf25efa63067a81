package chain

import "runtime"

// room makes sure that the goroutine has stack for a walk or a load. The stack of a
// new one would have to grow twice on the way, each time with all frames that are on
// it then, and that takes about as long as a walk.
//
//go:noinline
func room() {
	var b [4 << 10]byte
	runtime.KeepAlive(&b)
}
