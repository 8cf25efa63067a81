//go:build !race

package memstore_test

// raceEnabled: the race detector makes loops ten times as long.
const raceEnabled = false
