package redisstore

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
)

// The calls, in an order in which what is read has not been deleted before.
var (
	reads   = []string{"Get", "GetMany", "Scan"}
	writes  = []string{"Set", "SetMany", "Fill"}
	deletes = []string{"Delete", "DeleteMany", "Clear"}
)

// In every state in which a server refuses work, a call that it refuses is a
// typed error with the server's own words, and never a miss; what it still does
// is answered; and all is as before when the state has ended.
func TestServerStates(t *testing.T) {
	t.Parallel()
	for _, fault := range redistest.Faults() {
		t.Run(fault.Name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, fault.Args...)
			s := single(t, server.Addr, Options{})
			mustSet(t, s, "k", store.Entry{Value: []byte("v"), Version: 1})
			end := fault.Begin(t, server)
			all, deleted := calls(s), fault.WriteError
			if fault.Deletes {
				deleted = ""
			}
			for _, group := range []struct {
				names []string
				want  string
			}{{reads, fault.ReadError}, {writes, fault.WriteError}, {deletes, deleted}} {
				for _, name := range group.names {
					checkRefused(t, name, all[name], group.want)
				}
			}
			end()
			if fault.Deletes {
				mustSet(t, s, "k", store.Entry{Value: []byte("v"), Version: 1})
			}
			redistest.Eventually(t, 20*time.Second, "reads and writes work again", func() bool {
				_, err := s.Get(ctx, "k")
				return err == nil && s.Set(ctx, "other", store.Entry{Value: []byte("w")}) == nil
			})
			if e := mustGet(t, s, "k"); string(e.Value) != "v" || e.Version != 1 {
				t.Errorf("after %s: %q, version %d", fault.Name, e.Value, e.Version)
			}
		})
	}
}

// checkRefused checks that a call fails with one of the errors in want, or goes
// on where want is empty.
func checkRefused(t *testing.T, name string, call func(context.Context) error, want string) {
	t.Helper()
	limit := 5 * time.Second
	if want == redistest.Silence {
		limit = 50 * time.Millisecond
	}
	bound, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := call(bound)
	if want == "" {
		if err != nil {
			t.Errorf("%s: %v; want it to go on", name, err)
		}
		return
	}
	isTyped(t, name, err)
	if want == redistest.Silence {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v; want the context's error", name, err)
		}
		return
	}
	says := func(part string) bool { return err != nil && strings.Contains(err.Error(), part) }
	if !slices.ContainsFunc(strings.Split(want, "|"), says) {
		t.Errorf("%s: %v; want %s", name, err, want)
	}
}
