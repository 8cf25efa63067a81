package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Fault is a state in which a server refuses work, or does none.
type Fault struct {
	Name string
	Args []string // what the server is started with
	// Begin brings the state about; end ends it. What the server held it holds
	// again afterwards.
	Begin func(t testing.TB, s *Server) (end func())
	// ReadError and WriteError are parts of the errors that clients get, several
	// separated by "|"; an empty one says that such calls go on. Silence says that
	// there is no error: the server does not answer at all.
	ReadError, WriteError string
	// Deletes go on although other writes do not.
	Deletes bool
}

// Silence is the error of a server that does not answer: the caller's deadline.
const Silence = "(no answer)"

// Faults returns the states that a client of a single server must expect.
func Faults() []Fault {
	return []Fault{
		{Name: "READONLY", Begin: masterless, WriteError: "READONLY"},
		{Name: "MASTERDOWN", Args: []string{"--replica-serve-stale-data", "no"}, Begin: masterless,
			ReadError: "MASTERDOWN", WriteError: "READONLY|MASTERDOWN"},
		{Name: "OOM", Args: []string{"--maxmemory-policy", "noeviction"},
			Begin: setting("maxmemory", "1", "0"), WriteError: "OOM", Deletes: true},
		{Name: "NOREPLICAS", Begin: setting("min-replicas-to-write", "1", "0"), WriteError: "NOREPLICAS"},
		{Name: "MISCONF", Begin: cannotSave, WriteError: "MISCONF"},
		{Name: "BUSY", Begin: busy, ReadError: "BUSY", WriteError: "BUSY"},
		{Name: "LOADING", Args: []string{"--enable-debug-command", "local"}, Begin: loading, ReadError: "LOADING", WriteError: "LOADING"},
		{Name: "NOAUTH", Begin: wantsPassword, ReadError: "NOAUTH", WriteError: "NOAUTH"},
		{Name: "NOPERM", Begin: noWrites, WriteError: "NOPERM|can't run this command"},
		{Name: "maxclients", Begin: full, ReadError: refusal, WriteError: refusal},
		{Name: "SIGSTOP", Begin: stopped, ReadError: Silence, WriteError: Silence},
		{Name: "CLIENT PAUSE", Begin: writesPaused, WriteError: Silence},
		{Name: "killed", Args: []string{"--appendonly", "yes", "--appendfsync", "always"}, Begin: killed,
			ReadError: "refused", WriteError: "refused"},
	}
}

// refusal is what clients see whose connection is closed at once: what the server
// says of it, or that it is closed, whichever they notice first.
const refusal = "max number of clients|broken pipe|reset by peer|EOF"

// masterless makes s the replica of a master that is not there.
func masterless(t testing.TB, s *Server) func() {
	s.Do(t, "REPLICAOF", "127.0.0.1", "1")
	return func() { s.Do(t, "REPLICAOF", "NO", "ONE") }
}

func setting(name, during, after string) func(testing.TB, *Server) func() {
	return func(t testing.TB, s *Server) func() {
		s.Do(t, "CONFIG", "SET", name, during)
		return func() { s.Do(t, "CONFIG", "SET", name, after) }
	}
}

// cannotSave takes away the directory that snapshots go to.
func cannotSave(t testing.TB, s *Server) func() {
	save := func(want string) {
		s.Do(t, "BGSAVE")
		Eventually(t, settleTimeout, "the snapshot is "+want, func() bool {
			info := fmt.Sprint(s.Do(t, "INFO", "persistence"))
			return strings.Contains(info, "rdb_last_bgsave_status:"+want) && strings.Contains(info, "rdb_bgsave_in_progress:0")
		})
	}
	s.Do(t, "CONFIG", "SET", "save", "3600 1")
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	save("err")
	return func() { s.Do(t, "CONFIG", "SET", "save", "") }
}

// busy runs a script that does not end.
func busy(t testing.TB, s *Server) func() {
	s.Do(t, "CONFIG", "SET", "busy-reply-threshold", "1")
	opts := s.Options()
	opts.ReadTimeout, opts.MaxRetries = time.Hour, -1
	client := redis.NewClient(opts)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = client.Eval(context.Background(), "while true do end", nil).Err() // killed in the end
	}()
	Eventually(t, settleTimeout, "the server is busy", func() bool {
		err := s.try("PING")
		return redis.HasErrorPrefix(err, "BUSY")
	})
	return func() {
		s.Do(t, "SCRIPT", "KILL")
		<-done
		_ = client.Close()
	}
}

// loading restarts the server with so much to load, so slowly, that it says so.
func loading(t testing.TB, s *Server) func() {
	s.Do(t, "DEBUG", "POPULATE", "50000", "__filler")
	s.Do(t, "SAVE")
	s.stop()
	args := s.args
	s.args = append(args[:len(args):len(args)], "--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")
	err := s.launchUntil(answers)
	s.args = args
	if err != nil {
		t.Fatal(err)
	}
	if err := s.try("PING"); !redis.HasErrorPrefix(err, "LOADING") {
		t.Fatalf("redistest: the server does not load: %v", err)
	}
	return func() {
		s.Do(t, "CONFIG", "SET", "key-load-delay", "0")
		Eventually(t, settleTimeout, "all is loaded", func() bool { return s.try("PING") == nil })
	}
}

// wantsPassword asks all clients for a password that they have not.
func wantsPassword(t testing.TB, s *Server) func() {
	const password = "not-for-" + "clients"
	client := s.Client(t)
	do := func(words ...any) {
		t.Helper()
		if err := client.Do(context.Background(), words...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	do("CONFIG", "SET", "requirepass", password)
	opts := s.Options()
	opts.Password = password
	client = redis.NewClient(opts)
	do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	return func() {
		do("CONFIG", "SET", "requirepass", "")
		_ = client.Close()
	}
}

// noWrites takes the right to write from the user of all clients.
func noWrites(t testing.TB, s *Server) func() {
	s.Do(t, "ACL", "SETUSER", "default", "-@write")
	return func() { s.Do(t, "ACL", "SETUSER", "default", "+@all") }
}

// full leaves no connection to clients.
func full(t testing.TB, s *Server) func() {
	held, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	say := func(line string) {
		t.Helper()
		_ = held.SetDeadline(time.Now().Add(startTimeout))
		if _, err := held.Write([]byte(line + "\r\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := held.Read(make([]byte, 512)); err != nil {
			t.Fatal(err)
		}
	}
	say("CONFIG SET maxclients 1")
	say("CLIENT KILL TYPE normal SKIPME yes")
	return func() {
		say("CONFIG SET maxclients 1000")
		_ = held.Close()
	}
}

func stopped(t testing.TB, s *Server) func() {
	s.Pause(t)
	return func() { s.Resume(t) }
}

func writesPaused(t testing.TB, s *Server) func() {
	s.Do(t, "CLIENT", "PAUSE", "600000", "WRITE")
	return func() { s.Do(t, "CLIENT", "UNPAUSE") }
}

func killed(t testing.TB, s *Server) func() {
	s.stop()
	return func() { s.Restart(t) }
}

// try runs a command and returns its error.
func (s *Server) try(words ...any) error {
	opts := s.Options()
	opts.MaxRetries = -1
	c := redis.NewClient(opts)
	defer func() { _ = c.Close() }()
	return c.Do(context.Background(), words...).Err()
}
