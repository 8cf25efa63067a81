package serve

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/stratacache/strata/internal/resp"
	"github.com/stratacache/strata/internal/serve/inspect"
)

func strataSubs() map[string][2]int {
	return map[string][2]int{"explain": {3, 3}, "stats": {2, 2}, "tags": {2, 3}, "tagged": {3, 4}, "invalidate": {3, anyMany}, "help": {2, 2}}
}

// strataHelp says what STRATA does, in the form of Redis' HELP subcommands.
func strataHelp() []string {
	return []string{
		"STRATA <subcommand> [<arg> ...]. Replies but those of INVALIDATE and HELP are JSON. Subcommands are:",
		"EXPLAIN <key>", "    Where a key lies, and why.",
		"STATS", "    Counters of server, chain, tiers and rules.",
		"TAGS [<prefix>]", "    The tags there are, with their keys and bytes. Goes through all keys.",
		"TAGGED <tag> [<limit>]", "    The keys that carry a tag. Goes through all keys.",
		"INVALIDATE <tag> [<tag> ...]", "    Make all that carries one of the tags absent.",
		"HELP", "    Print this.",
	}
}

// strata is the one command that Redis does not have: what tools ask for.
func strata(c *conn, args [][]byte) {
	switch lower(args[1]) {
	case "explain":
		x, err := inspect.Explain(c.s.ctx, c.s.chain, string(args[2]), "")
		c.json(x, refusal(err))
	case "stats":
		c.json(c.s.inspect(), nil)
	case "tags":
		prefix := ""
		if len(args) > 2 {
			prefix = string(args[2])
		}
		c.alone(func() (any, error) { return inspect.Tags(c.s.ctx, c.s.chain, prefix) })
	case "tagged":
		limit := int64(0)
		if len(args) > 3 {
			var ok bool
			if limit, ok = resp.Int(args[3]); !ok || limit < 0 || limit > 1<<31 {
				c.fail(errInt)
				return
			}
		}
		tag := string(args[2])
		c.alone(func() (any, error) { return inspect.Tagged(c.s.ctx, c.s.chain, tag, int(limit)) })
	case "invalidate":
		c.invalidate(args[2:])
	case "help":
		lines := strataHelp()
		c.w.Array(len(lines))
		for _, line := range lines {
			c.w.Simple(line)
		}
	}
}

// json answers with v, or an error.
func (c *conn) json(v any, err error) {
	if err != nil {
		c.failed(err)
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		c.failed(err)
		return
	}
	start := len(c.w.Buf)
	c.w.Bulk(b)
	c.overflows(start)
}

var errLooking = errors.New("another STRATA TAGS or TAGGED is going through the keys: try again later")

// alone answers with what f finds by going through all keys, which only one client
// may have done at a time.
func (c *conn) alone(f func() (any, error)) {
	if !c.s.looking.TryLock() {
		c.failed(errLooking)
		return
	}
	defer c.s.looking.Unlock()
	v, err := f()
	c.json(v, err)
}

// invalidate makes what carries one of the tags absent. Whoever watches a key has
// to look again.
func (c *conn) invalidate(args [][]byte) {
	tags := make([]string, len(args))
	for i, a := range args {
		tags[i] = string(a)
	}
	s := c.s.locks.begin(nil, true)
	defer c.s.locks.end(s)
	for i := range c.s.locks.stripes {
		c.s.locks.stripes[i].touchAll(c)
	}
	if err := c.s.chain.InvalidateTags(c.s.ctx, tags...); err != nil {
		c.failed(err)
		return
	}
	c.w.Simple("OK")
}

// inspect returns the figures of the server and its chain.
func (s *Server) inspect() inspect.Stats {
	st, all := s.Stats(), s.chain.Stats()
	res := inspect.StatsOf(&all)
	res.Server = &inspect.Server{
		UptimeSeconds: int64(time.Since(s.began).Seconds()), Clients: st.Clients, Subscribers: st.Subscribers,
		Connections: st.Accepted, Refused: st.Refused, Commands: st.Commands, Errors: st.Failures,
		Hits: st.Hits, Misses: st.Misses, Published: st.Published,
	}
	return res
}
