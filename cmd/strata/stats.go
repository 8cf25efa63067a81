package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratacache/strata/internal/serve/inspect"
)

func (a *app) statsCommand() *cobra.Command {
	watch, every, rounds := false, 2*time.Second, 0
	c := &cobra.Command{
		Use: "stats", Short: "Print what the tiers hold",
		Long: `Print what the tiers hold. Counters of hits and the like belong to the process that
counts them: with --addr, a running server prints its own, of the server, its
tiers and its rules. A program exports its own, see observe/prom.

With --watch the figures are printed again and again; with --json then as one
object on a line.`,
		Args: between(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			once := func() error {
				return a.atServer(cmd, func(r *remote) error {
					var s inspect.Stats
					if err := r.strata(&s, "stats"); err != nil {
						return err
					}
					return a.stats(&s, watch)
				}, func() error {
					return a.with(cmd, false, func(s *session) error {
						held := heldBy(s)
						return a.stats(&held, watch)
					})
				})
			}
			if !watch {
				return once()
			}
			return a.again(cmd.Context(), every, rounds, once)
		},
	}
	c.Flags().BoolVarP(&watch, "watch", "w", false, "print again and again, until interrupted")
	c.Flags().DurationVar(&every, "every", every, "time between two prints of --watch")
	c.Flags().IntVar(&rounds, "rounds", 0, "end --watch after so many prints; 0: when interrupted")
	return withAddr(withTimeout(c))
}

// again calls f until ctx ends, or so many rounds are over. On a terminal each
// starts at the top of an empty screen.
func (a *app) again(ctx context.Context, every time.Duration, rounds int, f func() error) error {
	if every <= 0 {
		return usage("--every %s is no time between two prints", every)
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for n := 1; ; n++ {
		if a.onTerminal() && !a.json {
			fmt.Fprint(a.out, "\x1b[H\x1b[2J")
		} else if n > 1 && !a.json {
			fmt.Fprintln(a.out)
		}
		if err := f(); err != nil {
			return err
		}
		if n == rounds {
			return nil
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// heldBy returns what the tiers of a session hold, which has done nothing yet.
func heldBy(s *session) inspect.Stats {
	res := inspect.Stats{Tiers: []inspect.Held{}}
	for _, t := range s.Stats().Tiers {
		if t.Name != "memory" { // this process's own, which is new
			res.Tiers = append(res.Tiers, inspect.HeldOf(t.Name, &t.Store))
		}
	}
	return res
}

// figures are rows of a table: of what, which, and how much.
type figures [][]string

func (f *figures) add(of, name string, value any) {
	*f = append(*f, []string{of, name, fmt.Sprint(value)})
}

func (a *app) stats(s *inspect.Stats, line bool) error {
	switch {
	case a.json && line:
		return a.printLine(s)
	case a.json:
		return a.printJSON(s)
	}
	rows := figures{{"OF", "FIGURE", "VALUE"}}
	if sv := s.Server; sv != nil {
		rows.server(sv)
	}
	if c := s.Chain; c != nil {
		rows.add("chain", "misses", c.Misses)
		rows.add("chain", "pending_hits", c.PendingHits)
		rows.add("chain", "corrupt", c.Corrupt)
		rows.add("chain", "queue_full", c.QueueFull)
	}
	for i := range s.Tiers {
		rows.tier(&s.Tiers[i])
	}
	for _, r := range s.Rules {
		rows.add("rule "+r.Rule, "hits", r.Hits)
		rows.add("rule "+r.Rule, "misses", r.Misses)
	}
	return a.table(rows)
}

func (f *figures) server(s *inspect.Server) {
	f.add("server", "uptime", span(time.Duration(s.UptimeSeconds)*time.Second))
	f.add("server", "clients", s.Clients)
	f.add("server", "subscribers", s.Subscribers)
	f.add("server", "connections", s.Connections)
	f.add("server", "refused", s.Refused)
	f.add("server", "commands", s.Commands)
	f.add("server", "errors", s.Errors)
	f.add("server", "hits", s.Hits)
	f.add("server", "misses", s.Misses)
	if reads := s.Hits + s.Misses; reads > 0 {
		f.add("server", "hit ratio", fmt.Sprintf("%.1f %%", 100*float64(s.Hits)/float64(reads)))
	}
	f.add("server", "published", s.Published)
}

func (f *figures) tier(t *inspect.Held) {
	if t.Entries > 0 || t.Bytes > 0 || t.Tier != "redis" { // Redis keeps its sizes to itself
		f.add(t.Tier, "entries", t.Entries)
		f.add(t.Tier, "bytes", size(t.Bytes))
	}
	if t.Capacity > 0 {
		f.add(t.Tier, "capacity", size(t.Capacity))
	}
	if w := t.Work; w != nil {
		f.add(t.Tier, "hits", w.Hits)
		f.add(t.Tier, "misses", w.Misses)
		f.add(t.Tier, "errors", w.Errors)
		f.add(t.Tier, "fills", w.Fills)
		f.add(t.Tier, "evictions", w.Evictions)
		f.add(t.Tier, "breaker", w.Breaker)
		f.add(t.Tier, "pending", w.Pending)
		f.add(t.Tier, "pending_age", span(time.Duration(w.PendingSeconds*float64(time.Second)).Round(time.Millisecond)))
		f.add(t.Tier, "lost", w.Lost)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Extra)) {
		f.add(t.Tier, name, strconv.FormatFloat(t.Extra[name], 'f', -1, 64))
	}
}
