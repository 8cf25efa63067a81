package redisstore

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/storetest"
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{})
	redistest.VerifyMain(m)
}

// quiet drops go-redis's log: servers that are down are what some tests are for.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// allPlain declares every key plain.
type allPlain struct{ grace time.Duration }

func (p allPlain) Wire(string) (bool, time.Duration) { return true, p.grace }

// open returns a store with a client of its own on the shared server.
func open(t testing.TB, opts Options) *Store {
	t.Helper()
	opts.CloseClient = true
	s, err := Connect(&Config{Addrs: []string{redistest.Shared(t).Addr}}, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// prefixed returns a store with a prefix of its own on the shared server.
func prefixed(t testing.TB, opts Options) *Store {
	t.Helper()
	opts.Prefix = redistest.Prefix()
	return open(t, opts)
}

// rounds keeps the races short: every round is several round trips.
const rounds = 200

// arrival is what a write may take to reach the server, which counts a key's time
// to live from then: so much later than its entry may a key disappear from Scan.
// (The deadline of a framed entry itself is exact; see TestFramedDeadlines.)
const arrival = 200 * time.Millisecond

func TestConformanceFramed(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store { return prefixed(t, Options{}) }, &storetest.Options{Rounds: rounds, DeadlineSlack: arrival})
}

func TestConformanceFramedNewestWins(t *testing.T) {
	const why = "a Set of an older version is overtaken: that is what the option is for"
	storetest.Run(t, func(t testing.TB) store.Store { return prefixed(t, Options{NewestWins: true}) },
		&storetest.Options{Rounds: rounds, DeadlineSlack: arrival, Skip: map[string]string{"Overwrite": why}})
}

// Without a prefix the whole database is the store's, so each case has a server.
func TestConformanceWithoutPrefix(t *testing.T) {
	server := redistest.Start(t)
	storetest.Run(t, func(t testing.TB) store.Store {
		server.Do(t, "FLUSHALL")
		s, err := Connect(&Config{Addrs: []string{server.Addr}}, &Options{AllowClearAll: true})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}, &storetest.Options{Rounds: rounds, DeadlineSlack: arrival})
}

func TestConformancePlain(t *testing.T) {
	storetest.Run(t, func(t testing.TB) store.Store { return prefixed(t, Options{Wire: allPlain{}}) },
		&storetest.Options{
			Rounds: rounds, NoVersion: true, NoTags: true, NoCodec: true, NoFresh: true,
			// A read counts the time to live from before it was asked for, which
			// may have to open a connection first.
			DeadlineSlack: 300 * time.Millisecond,
		})
}

// Connections speak RESP3.
func TestProtocol(t *testing.T) {
	client, err := NewClient(&Config{Addrs: []string{redistest.Shared(t).Addr}, ClientName: "speaks-resp3"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	list, err := client.Do(t.Context(), "CLIENT", "LIST").Text()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(list) {
		if strings.Contains(line, "name=speaks-resp3 ") {
			if !strings.Contains(line, " resp=3") {
				t.Errorf("the server says of a connection: %s; want resp=3", line)
			}
			return
		}
	}
	t.Errorf("the connection is not listed:\n%s", list)
}
