package main

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) topCommand() *cobra.Command {
	every, rounds := time.Second, 0
	c := &cobra.Command{
		Use: "top", Short: "Watch what a server does",
		Long: "Print, every second, what a running server does: commands a second, the part of\nreads that found something, clients, memory, and its tiers. It needs --addr.",
		Args: between(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.atServer(cmd, func(r *remote) error { return a.top(cmd.Context(), r, every, rounds) },
				func() error { return usage("top watches a server: name it with --addr") })
		},
	}
	c.Flags().DurationVar(&every, "every", every, "time between two lines")
	c.Flags().IntVar(&rounds, "rounds", 0, "stop after so many lines; 0: when interrupted")
	return withAddr(withTimeout(c))
}

// topInfo is a line of top in JSON.
type topInfo struct {
	CommandsPerSecond float64           `json:"commands_per_second"`
	HitRatio          float64           `json:"hit_ratio"`
	Clients           int64             `json:"clients"`
	Memory            int64             `json:"memory"`
	Evicted           int64             `json:"evicted"`
	Errors            int64             `json:"errors"`
	Tiers             map[string]string `json:"tiers,omitempty"`
}

func (a *app) top(ctx context.Context, r *remote, every time.Duration, rounds int) error {
	if every <= 0 {
		return usage("--every %s is no time between two lines", every)
	}
	before, err := r.figures(ctx)
	if err != nil {
		return err
	}
	if !a.json {
		fmt.Fprintf(a.out, "%12s  %6s  %8s  %10s  %8s  %8s  %s\n", "commands/s", "hits", "clients", "memory", "evicted", "errors", "tiers")
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for n := 0; rounds == 0 || n < rounds; n++ {
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
		now, err := r.figures(ctx)
		if err != nil {
			return err
		}
		if err := a.topLine(compareFigures(before, now, every)); err != nil {
			return err
		}
		before = now
	}
	return nil
}

func compareFigures(before, now map[string]string, every time.Duration) topInfo {
	since := func(name string) float64 { return number(now, name) - number(before, name) }
	hits, misses := since("keyspace_hits"), since("keyspace_misses")
	i := topInfo{
		CommandsPerSecond: since("total_commands_processed") / every.Seconds(),
		Clients:           int64(number(now, "connected_clients")), Memory: int64(number(now, "used_memory")),
		Evicted: int64(since("evicted_keys")), Errors: int64(since("total_error_replies")), Tiers: map[string]string{},
	}
	if hits+misses > 0 {
		i.HitRatio = hits / (hits + misses)
	}
	for name, value := range now {
		if tier, ok := strings.CutPrefix(name, "tier_"); ok {
			i.Tiers[tier] = value
		}
	}
	return i
}

func (a *app) topLine(i topInfo) error {
	if a.json {
		return a.printLine(i)
	}
	var tiers []string
	for name, value := range i.Tiers {
		for _, part := range strings.Split(value, ",") {
			if what, v, _ := strings.Cut(part, "="); what == "breaker" && v != "closed" || what == "pending" && v != "0" {
				name += " " + part
			}
		}
		tiers = append(tiers, name)
	}
	sort.Strings(tiers)
	_, err := fmt.Fprintf(a.out, "%12.0f  %5.1f%%  %8d  %10s  %8d  %8d  %s\n",
		i.CommandsPerSecond, 100*i.HitRatio, i.Clients, size(i.Memory), i.Evicted, i.Errors, strings.Join(tiers, ", "))
	return fail(err)
}
