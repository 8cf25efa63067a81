package serve

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/stratacache/strata/store"
)

// memory returns the figures of the memory tier, if there is one.
func (s *Server) memory() store.Stats {
	for _, t := range s.chain.Stats().Tiers {
		if t.Name == "memory" {
			return t.Store
		}
	}
	return store.Stats{}
}

// section is a part of INFO.
type section struct {
	name string
	rows func(s *Server) [][2]string
}

// sections are the parts of INFO, with the names that Redis gives to figures that
// mean the same here.
func sections() []section {
	return []section{
		{"Server", (*Server).infoServer},
		{"Clients", (*Server).infoClients},
		{"Memory", (*Server).infoMemory},
		{"Stats", (*Server).infoStats},
		{"Replication", func(*Server) [][2]string { return [][2]string{{"role", "master"}, {"connected_slaves", "0"}} }},
		{"Strata", (*Server).infoTiers},
	}
}

func (s *Server) infoServer() [][2]string {
	return [][2]string{
		{"redis_version", Version},
		{"redis_mode", "standalone"},
		{"server_name", "strata"},
		{"os", runtime.GOOS},
		{"arch_bits", "64"},
		{"process_id", fmt.Sprint(os.Getpid())},
		{"uptime_in_seconds", fmt.Sprint(int64(time.Since(s.began).Seconds()))},
	}
}

func (s *Server) infoClients() [][2]string {
	st := s.Stats()
	return [][2]string{
		{"connected_clients", fmt.Sprint(st.Clients)},
		{"maxclients", fmt.Sprint(s.opts.MaxClients)},
		{"pubsub_clients", fmt.Sprint(st.Subscribers)},
	}
}

func (s *Server) infoMemory() [][2]string {
	m := s.memory()
	return [][2]string{
		{"used_memory", fmt.Sprint(m.Bytes)},
		{"used_memory_dataset", fmt.Sprint(m.Bytes)},
		{"maxmemory", fmt.Sprint(m.Capacity)},
		{"maxmemory_policy", "allkeys-lru"},
	}
}

func (s *Server) infoStats() [][2]string {
	st, m := s.Stats(), s.memory()
	return [][2]string{
		{"total_connections_received", fmt.Sprint(st.Accepted)},
		{"total_commands_processed", fmt.Sprint(st.Commands)},
		{"total_error_replies", fmt.Sprint(st.Failures)},
		{"rejected_connections", fmt.Sprint(st.Refused)},
		{"keyspace_hits", fmt.Sprint(st.Hits)},
		{"keyspace_misses", fmt.Sprint(st.Misses)},
		{"expired_keys", fmt.Sprint(m.Expired)},
		{"evicted_keys", fmt.Sprint(m.Evictions)},
	}
}

// infoTiers are the figures of the chain.
func (s *Server) infoTiers() [][2]string {
	var rows [][2]string
	for _, t := range s.chain.Stats().Tiers {
		rows = append(rows, [2]string{"tier_" + t.Name, fmt.Sprintf("hits=%d,misses=%d,errors=%d,breaker=%s,pending=%d,entries=%d,bytes=%d,capacity=%d",
			t.Hits, t.Misses, t.Errors, t.Breaker, t.Pending.Entries, t.Store.Entries, t.Store.Bytes, t.Store.Capacity)})
	}
	return rows
}

func info(c *conn, args [][]byte) {
	var b strings.Builder
	for _, sec := range sections() {
		if !wanted(args[1:], sec.name) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		fmt.Fprintf(&b, "# %s\r\n", sec.name)
		for _, row := range sec.rows(c.s) {
			fmt.Fprintf(&b, "%s:%s\r\n", row[0], row[1])
		}
	}
	c.w.Text(b.String())
}

func wanted(args [][]byte, name string) bool {
	if len(args) == 0 {
		return true
	}
	for _, a := range args {
		switch w := lower(a); w {
		case "all", "default", "everything", strings.ToLower(name):
			return true
		}
	}
	return false
}
