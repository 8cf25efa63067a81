// Package python tests that a Python program and a Go program share one cache: the
// Python side uses redis-py and pandas and knows nothing of strata, the Go side
// uses a chain. [Bot] takes the address that Python talks to, so that whatever
// speaks the protocol of Redis can be tested.
package python
