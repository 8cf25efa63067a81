//go:build !unix

package serve_test

// mostPairs is how many connections are surely possible.
func mostPairs() int { return 500 }
