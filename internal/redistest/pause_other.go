//go:build !unix

package redistest

import "testing"

// Pause skips the test: this system cannot stop a process.
func (s *Server) Pause(t testing.TB) {
	t.Helper()
	t.Skip("skipped, for this system has no SIGSTOP")
}

// Resume does nothing; see Pause.
func (s *Server) Resume(testing.TB) {}
