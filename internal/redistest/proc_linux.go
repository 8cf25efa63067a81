package redistest

import (
	"os/exec"
	"syscall"
)

const hasDeathSignal = true

// dieWithParent has the kernel kill the server when the test process dies,
// which no cleanup function survives.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
