package diskstore_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore"
)

// TestProgress: Verify, Compact and Snapshot tell how far they are, and end with all of it.
func TestProgress(t *testing.T) {
	var done, total int64
	calls := 0
	s, err := diskstore.Open(t.TempDir(), &diskstore.Options{Progress: func(d, n int64) {
		if d < 0 || d > n || calls > 0 && d < done {
			t.Errorf("%d of %d after %d", d, n, done)
		}
		done, total = d, n
		calls++
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	ctx := context.Background()
	for part := range 2 {
		for i := range 3000 {
			if err := s.Set(ctx, fmt.Sprintf("%d:%d", part, i), store.Entry{Value: make([]byte, 100)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range map[string]func() error{
		"verify":   func() error { _, err := s.Verify(ctx); return err },
		"snapshot": func() error { return s.Snapshot(ctx, filepath.Join(t.TempDir(), "copy")) },
		"compact":  func() error { return s.Compact(ctx) },
	} {
		done, total, calls = 0, 0, 0
		if err := f(); err != nil {
			t.Fatal(err)
		}
		least := 4
		if name == "snapshot" { // a call a segment, which may have become one
			least = 2
		}
		if calls < least || done != total || total < 600_000 {
			t.Errorf("%s: %d of %d in %d calls", name, done, total, calls)
		}
	}
}
