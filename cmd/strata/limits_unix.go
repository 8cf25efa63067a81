//go:build unix

package main

import (
	"fmt"
	"syscall"

	"github.com/stratacache/strata/config"
)

// spareFiles are the open files that a server needs beside its connections.
const spareFiles = 128

// checkLimits compares the limit of open files with what the server may need.
func checkLimits(cfg *config.Config) finding {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return finding{"open files", stateWarning, err.Error()}
	}
	f := finding{"open files", stateOK, fmt.Sprintf("%d may be open", l.Cur)}
	if need := uint64(cfg.Server.MaxClients + spareFiles); l.Cur < need {
		f.State = stateWarning
		f.Detail += fmt.Sprintf(", and server.max_clients asks for %d: raise the limit (ulimit -n, LimitNOFILE)", need)
	}
	return f
}
