//go:build !linux

package redistest

import "os/exec"

const hasDeathSignal = false

// dieWithParent does nothing: only Linux has a parent death signal.
func dieWithParent(*exec.Cmd) {}
