package diskstore

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

// open opens a store on a file system and closes it with the test.
func open(t testing.TB, fsys vfs.FS, opts Options) *Store {
	t.Helper()
	opts.fs = fsys
	s, err := Open("", &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestStore runs the conformance suite on stores that seal never, often, and
// with each write on the disk.
func TestStore(t *testing.T) {
	for name, opts := range map[string]Options{
		"default": {},
		"small":   {SegmentSize: 2 << 10, CompactionRate: -1},
		"always":  {Sync: SyncAlways},
	} {
		t.Run(name, func(t *testing.T) {
			dir := ""
			reopen := func(t testing.TB) store.Store {
				opts := opts
				opts.OnError = func(err error) { t.Error(err) }
				s, err := Open(dir, &opts)
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
			storetest.Run(t, func(t testing.TB) store.Store {
				dir = t.TempDir()
				return reopen(t)
			}, &storetest.Options{Reopen: reopen, Rounds: 60})
		})
	}
}

// What was written lazily is on the disk after Sync.
func TestSync(t *testing.T) {
	ctx := context.Background()
	s, err := Open(t.TempDir(), &Options{Sync: SyncNever})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Set(ctx, "k", store.Entry{Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(ctx); err != nil {
		t.Errorf("Sync: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(ctx); !errors.Is(err, store.ErrClosed) {
		t.Errorf("Sync after Close: %v; want store.ErrClosed", err)
	}
}
