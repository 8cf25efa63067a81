//go:build unix

package serve_test

import "syscall"

// mostPairs is how many connections the limit of open files allows when both ends
// are in this process.
func mostPairs() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 500
	}
	return int(min(l.Cur, 1<<20)-200) / 2
}
