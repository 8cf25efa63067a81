package diskstore

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stratacache/strata/store"
)

// TestCloseAmidCalls closes a store while every kind of call is under way: each
// ends with its whole answer or with ErrClosed, and none touches what is unmapped.
func TestCloseAmidCalls(t *testing.T) {
	const keys = 40
	rounds := 2
	if os.Getenv("STRATA_TORTURE") != "" {
		rounds = 100
	}
	for round := range rounds {
		opts := faultOptions()
		s := openDir(t, t.TempDir(), opts)
		for i := range keys {
			if err := s.Set(ctx, fmt.Sprint("k", i), store.Entry{Value: []byte("v"), Version: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(s.Set(ctx, "hist:A:1d", tableEntry("bars")), s.Flush(ctx)); err != nil {
			t.Fatal(err)
		}
		some := []string{"k1", "k2", "hist:A:1d"}
		calls := map[string]func(i int) error{
			"get":    func(i int) error { _, err := s.Get(ctx, fmt.Sprint("k", i%keys)); return err },
			"fill":   func(i int) error { _, err := s.Fill(ctx, fmt.Sprint("k", i%keys), store.Entry{}); return err },
			"table":  func(int) error { _, err := s.Fill(ctx, "hist:A:1d", tableEntry("bars")); return err },
			"set":    func(int) error { return s.Set(ctx, "other", store.Entry{}) },
			"delete": func(int) error { return s.Delete(ctx, "other") },
			"getmany": func(int) error {
				m, err := s.GetMany(ctx, some)
				return whole(err, len(m), len(some))
			},
			"scan": func(int) (err error) {
				n := 0
				for _, err = range s.Scan(ctx, "k") {
					n++
				}
				return whole(err, n, keys)
			},
			"verify":   func(int) error { _, err := s.Verify(ctx); return err },
			"snapshot": func(int) error { return snapshotOf(s, t.TempDir(), keys) },
			"stats":    func(int) error { s.Stats(); return s.check(ctx, "stats", "") },
		}
		var wg, begun sync.WaitGroup
		for what, call := range calls {
			begun.Add(1)
			wg.Go(func() {
				for i := 0; ; i++ {
					err := call(i)
					if i == 0 {
						begun.Done()
					}
					if errors.Is(err, store.ErrClosed) {
						return
					}
					if err != nil {
						t.Errorf("round %d: %s: %v", round, what, err)
						return
					}
				}
			})
		}
		begun.Wait()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
	}
}

// whole is an error where an answer without one lacks something.
func whole(err error, n, want int) error {
	if err == nil && n != want {
		return fmt.Errorf("%d of %d, and no error", n, want)
	}
	return err
}

// snapshotOf makes a snapshot and looks whether all is in it.
func snapshotOf(s *Store, dir string, keys int) error {
	if err := s.Snapshot(ctx, dir); err != nil {
		return err
	}
	snap, err := Open(dir, &Options{ReadOnly: true})
	if err != nil {
		return err
	}
	n := 0
	for _, err := range snap.Scan(ctx, "k") {
		if err != nil {
			return err
		}
		n++
	}
	return errors.Join(whole(nil, n, keys), snap.Close())
}
