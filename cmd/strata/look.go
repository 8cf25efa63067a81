package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratacache/strata/internal/serve/inspect"
)

func (a *app) explainCommand() *cobra.Command {
	return withAddr(withTimeout(&cobra.Command{
		Use: "explain KEY", Short: "Say where a key lies, and why",
		Long: "Say which rule a key has and why, and what each tier holds of it. With --addr, the\nserver says it of its own tiers, memory and pending writes included. The exit code\nis 3 if none holds anything.",
		Args: between(1, 1, "one KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.atServer(cmd, func(r *remote) error {
				var x inspect.Explained
				if err := r.strata(&x, "explain", args[0]); err != nil {
					return err
				}
				return a.explain(&x)
			}, func() error {
				return a.with(cmd, false, func(s *session) error {
					x, err := inspect.Explain(s.ctx, s.Chain, args[0], "memory") // this process's own is new
					if err != nil {
						return fail(err)
					}
					return a.explain(&x)
				})
			})
		},
	}))
}

func (a *app) explain(x *inspect.Explained) (err error) {
	rows := [][]string{{"TIER", "HERE", "SIZE", "EXPIRES IN", "FRESH FOR", "CODEC", "VERSION", "NOTE"}}
	found := false
	for i := range x.Tiers {
		t := &x.Tiers[i]
		found = found || t.Present || t.Pending == "write"
		rows = append(rows, tierRow(t))
	}
	if a.json {
		err = a.printJSON(x)
	} else {
		fmt.Fprintf(a.out, "key   %s\nrule  %s\nwhy   %s\n\n", printable(x.Key), x.Rule, x.Why)
		err = a.table(rows)
	}
	if err == nil && !found {
		err = &failure{exitNotFound, fmt.Errorf("no tier holds %q", x.Key)}
	}
	return err
}

func tierRow(t *inspect.Tier) []string {
	if !t.Present {
		return []string{t.Tier, "no", "-", "-", "-", "-", "-", tierNote(t)}
	}
	now := time.Now()
	expires, fresh := instant(t.Expires), instant(t.Fresh)
	if fresh.IsZero() {
		fresh = expires
	}
	return []string{t.Tier, "yes", size(t.Size), until(expires, now), until(fresh, now), or(t.Codec, "-"), strconv.FormatUint(t.Version, 10), tierNote(t)}
}

// instant is the deadline that nil or a time stands for.
func instant(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func tierNote(t *inspect.Tier) string {
	var notes []string
	if t.Error != "" {
		notes = append(notes, oneLine(t.Error))
	}
	if !t.Placed {
		notes = append(notes, "the rule does not use it")
	}
	if t.Covered {
		notes = append(notes, "invalidated")
	}
	if t.Pending != "" {
		notes = append(notes, "a "+t.Pending+" is pending")
	}
	if len(t.Tags) > 0 {
		notes = append(notes, "tags "+strings.Join(t.Tags, ","))
	}
	return or(strings.Join(notes, "; "), "-")
}
