package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// settleTimeout bounds the wait for a group of servers to agree.
const settleTimeout = 60 * time.Second

// slots is the number of hash slots of a Cluster.
const slots = 16384

// Cluster is a Redis Cluster of masters without replicas, which share the slots
// evenly and in order.
type Cluster struct {
	Nodes []*Server
}

// StartCluster starts a Cluster of n masters and returns when all of them call
// it whole.
func StartCluster(t testing.TB, n int, args ...string) *Cluster {
	t.Helper()
	c := &Cluster{}
	for range n {
		bus, err := freeAddr()
		if err != nil {
			t.Fatal(err)
		}
		_, busPort, err := net.SplitHostPort(bus)
		if err != nil {
			t.Fatal(err)
		}
		c.Nodes = append(c.Nodes, Start(t, append([]string{
			"--cluster-enabled", "yes", "--cluster-port", busPort, "--cluster-node-timeout", "2000",
		}, args...)...))
	}
	for i, node := range c.Nodes {
		first, last := slots*i/n, slots*(i+1)/n-1
		node.Do(t, "CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(first), fmt.Sprint(last))
		node.Do(t, "CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1))
	}
	for _, node := range c.Nodes[1:] {
		host, port, err := net.SplitHostPort(node.Addr)
		if err != nil {
			t.Fatal(err)
		}
		c.Nodes[0].Do(t, "CLUSTER", "MEET", host, port, node.arg("--cluster-port"))
	}
	for _, node := range c.Nodes {
		Eventually(t, settleTimeout, "the cluster is whole", func() bool {
			info := fmt.Sprint(node.Do(t, "CLUSTER", "INFO"))
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", n))
		})
	}
	return c
}

// arg returns the value of an argument that the server was started with.
func (s *Server) arg(name string) string {
	for i := 0; i+1 < len(s.args); i++ {
		if s.args[i] == name {
			return s.args[i+1]
		}
	}
	return ""
}

// Addrs returns the addresses of all nodes.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, node := range c.Nodes {
		addrs = append(addrs, node.Addr)
	}
	return addrs
}

// Client returns a client of the Cluster, which is closed when the test ends.
func (c *Cluster) Client(t testing.TB) *redis.ClusterClient {
	t.Helper()
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: c.Addrs(), ContextTimeoutEnabled: true, DialerRetries: 1,
		MaintNotificationsConfig: (&Server{}).Options().MaintNotificationsConfig,
	})
	t.Cleanup(func() {
		if err := client.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
			t.Errorf("redistest: closing the client: %v", err)
		}
	})
	return client
}

// MoveSlot moves the slot of key, which no other call may have moved, with all its keys, from its node to another,
// and calls during while the slot is on its way: its keys are moved, but the
// Cluster does not know it yet.
func (c *Cluster) MoveSlot(t testing.TB, key string, during func()) {
	t.Helper()
	client := c.Client(t)
	ctx := context.Background()
	slot := client.ClusterKeySlot(ctx, key).Val()
	from := c.ownerOf(t, slot)
	to := c.Nodes[0]
	if to == from {
		to = c.Nodes[1]
	}
	fromID, toID := fmt.Sprint(from.Do(t, "CLUSTER", "MYID")), fmt.Sprint(to.Do(t, "CLUSTER", "MYID"))
	number := fmt.Sprint(slot)
	to.Do(t, "CLUSTER", "SETSLOT", number, "IMPORTING", fromID)
	from.Do(t, "CLUSTER", "SETSLOT", number, "MIGRATING", toID)
	host, port, err := net.SplitHostPort(to.Addr)
	if err != nil {
		t.Fatal(err)
	}
	keys, _ := from.Do(t, "CLUSTER", "GETKEYSINSLOT", number, "1000").([]any)
	for _, k := range keys {
		from.Do(t, "MIGRATE", host, port, fmt.Sprint(k), "0", "5000")
	}
	during()
	for _, node := range []*Server{to, from} {
		node.Do(t, "CLUSTER", "SETSLOT", number, "NODE", toID)
	}
}

// ownerOf returns the node that StartCluster gave slot to.
func (c *Cluster) ownerOf(t testing.TB, slot int64) *Server {
	t.Helper()
	for i, node := range c.Nodes {
		if int(slot) < slots*(i+1)/len(c.Nodes) {
			return node
		}
	}
	t.Fatalf("redistest: no slot %d", slot)
	return nil
}

// Eventually waits until ok, and fails the test if that takes longer than
// timeout.
func Eventually(t testing.TB, timeout time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(timeout); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", timeout, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
