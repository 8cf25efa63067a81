package redistest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// MasterName is what the Sentinels of a Sentinel group call the master.
const MasterName = "strata-test"

// Sentinel is a master with a replica, watched by one Sentinel, which fails over
// after half a second.
type Sentinel struct {
	Master, Replica *Server
	// Addr is the Sentinel's address.
	Addr string
}

// StartSentinel starts a group and returns when the Sentinel knows the replica
// and the replica is in step.
func StartSentinel(t testing.TB) *Sentinel {
	t.Helper()
	g := &Sentinel{Master: Start(t, "--repl-diskless-sync-delay", "0")}
	host, port, err := net.SplitHostPort(g.Master.Addr)
	if err != nil {
		t.Fatal(err)
	}
	g.Replica = Start(t, "--replicaof", host+" "+port, "--repl-diskless-sync-delay", "0")
	Eventually(t, settleTimeout, "the replica is in step", func() bool {
		return strings.Contains(fmt.Sprint(g.Replica.Do(t, "INFO", "replication")), "master_link_status:up")
	})
	watch := startSentinel(t, host, port)
	g.Addr = watch.Addr
	Eventually(t, settleTimeout, "the Sentinel knows the replica", func() bool {
		replicas, _ := watch.Do(t, "SENTINEL", "REPLICAS", MasterName).([]any)
		return len(replicas) == 1
	})
	return g
}

// startSentinel starts the Sentinel itself. It wants a configuration file that
// it can rewrite.
func startSentinel(t testing.TB, host, port string) *Server {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "sentinel.conf")
	text := strings.Join([]string{
		fmt.Sprintf("sentinel monitor %s %s %s 1", MasterName, host, port),
		fmt.Sprintf("sentinel down-after-milliseconds %s 500", MasterName),
		fmt.Sprintf("sentinel failover-timeout %s 3000", MasterName),
	}, "\n")
	if err := os.WriteFile(conf, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := startServer(&Server{binary: Binary(t), dir: dir, conf: conf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}
