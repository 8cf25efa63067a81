//go:build unix

package redistest

import (
	"syscall"
	"testing"
)

// Pause stops the server with SIGSTOP: its connections stay open and nothing
// answers, as with a half-open connection or a machine that swaps. Cleanup
// resumes it.
func (s *Server) Pause(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGSTOP)
}

// Resume lets a paused server go on.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGCONT)
}
