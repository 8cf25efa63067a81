package integration

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// measure fails the test where a limit does not hold.
func (s *soak) measure(t *testing.T) {
	t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var pending int64
	for _, tier := range s.chain.Stats().Tiers {
		if tier.Pending.Bytes > soakPending {
			t.Errorf("tier %s: %d bytes pending, more than %d", tier.Name, tier.Pending.Bytes, soakPending)
		}
		pending += tier.Pending.Bytes
		if tier.Name == "memory" && tier.Store.Bytes > s.memory {
			t.Errorf("memory holds %d bytes, more than %d", tier.Store.Bytes, s.memory)
		}
	}
	onDisk, open, rss := treeSize(t, filepath.Join(s.dir, "disk")), openFiles(), residentBytes()
	s.most.rss = max(s.most.rss, rss)
	s.most.heap, s.most.disk, s.most.pending = max(s.most.heap, int64(m.HeapAlloc)), max(s.most.disk, onDisk), max(s.most.pending, pending)
	s.most.goroutines, s.most.files = max(s.most.goroutines, runtime.NumGoroutine()), max(s.most.files, open)
	for _, limit := range []struct {
		what      string
		is, limit int64
	}{
		{"bytes of live heap", int64(m.HeapAlloc), soakHeap},
		{"bytes of resident memory", rss, soakResident},
		{"goroutines", int64(runtime.NumGoroutine()), soakGoroutines},
		{"open files", int64(open), soakFiles},
		// Beside the capacity: the journal of unsealed writes, and the segments
		// that a compaction is about to replace.
		{"bytes on the disk", onDisk, soakDisk + soakDisk/4 + 8*soakSegment},
		{"bytes of the journal", treeSize(t, filepath.Join(s.dir, "journal")), 2 * (4*soakJournal + 2*soakPending)},
	} {
		if limit.is > limit.limit {
			t.Errorf("%d %s, more than %d", limit.is, limit.what, limit.limit)
		}
	}
}

// treeSize sums up the files below dir, some of which go while it looks.
func treeSize(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return n
}

// openFiles counts the file descriptors of the process; 0 where that cannot be
// told.
func openFiles() int {
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(d)
}

// residentBytes returns the memory of the process that is resident and no mapped file:
// those the system takes back. 0 where that cannot be told, or the race detector has a
// share in it.
func residentBytes() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil || raceDetector {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			var kb int64
			_, _ = fmt.Sscan(rest, &kb)
			return kb << 10
		}
	}
	return 0
}
