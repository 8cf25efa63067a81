package main

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratacache/strata/chain"
)

func (a *app) explainCommand() *cobra.Command {
	return withTimeout(&cobra.Command{
		Use: "explain KEY", Short: "Say where a key lies, and why",
		Long: "Say which rule a key has and why, and what each tier holds of it. The exit code\nis 3 if none holds anything.",
		Args: between(1, 1, "one KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, false, func(s *session) error { return a.explain(s, args[0]) })
		},
	})
}

// tierInfo is what a tier holds of a key, in JSON.
type tierInfo struct {
	Tier    string     `json:"tier"`
	Placed  bool       `json:"placed"`
	Mode    string     `json:"mode,omitempty"`
	Present bool       `json:"present"`
	Expires *time.Time `json:"expires,omitempty"`
	Fresh   *time.Time `json:"fresh,omitempty"`
	Size    int64      `json:"size"`
	Codec   string     `json:"codec,omitempty"`
	Version uint64     `json:"version,omitempty"`
	Tags    []string   `json:"tags,omitempty"`
	Covered bool       `json:"covered,omitempty"`
	Pending string     `json:"pending,omitempty"`
	Error   string     `json:"error,omitempty"`
}

type explained struct {
	Key   string     `json:"key"`
	Rule  string     `json:"rule"`
	Why   string     `json:"why"`
	Tiers []tierInfo `json:"tiers"`
}

func (a *app) explain(s *session, key string) error {
	x, err := s.Explain(s.ctx, key)
	if err != nil {
		return fail(err)
	}
	res := explained{Key: x.Key, Rule: x.Rule, Why: x.Why, Tiers: []tierInfo{}}
	rows := [][]string{{"TIER", "HERE", "SIZE", "EXPIRES IN", "FRESH FOR", "CODEC", "VERSION", "NOTE"}}
	found := false
	for _, t := range x.Tiers {
		if t.Tier == "memory" {
			continue // this process's own, which is new
		}
		found = found || t.Present
		res.Tiers = append(res.Tiers, tierOf(&t))
		rows = append(rows, tierRow(&t))
	}
	if a.json {
		err = a.printJSON(res)
	} else {
		fmt.Fprintf(a.out, "key   %s\nrule  %s\nwhy   %s\n\n", printable(x.Key), x.Rule, x.Why)
		err = a.table(rows)
	}
	if err == nil && !found {
		err = &failure{exitNotFound, fmt.Errorf("no tier holds %q", key)}
	}
	return err
}

func tierOf(t *chain.TierExplanation) tierInfo {
	info := tierInfo{Tier: t.Tier, Placed: t.Placed, Mode: t.Mode, Present: t.Present, Expires: deadline(t.Expires), Fresh: deadline(t.Fresh),
		Size: t.Size, Codec: t.Codec, Version: t.Version, Tags: t.Tags, Covered: t.Covered, Pending: t.Pending}
	if t.Err != nil {
		info.Error = t.Err.Error()
	}
	return info
}

func tierRow(t *chain.TierExplanation) []string {
	if !t.Present {
		return []string{t.Tier, "no", "-", "-", "-", "-", "-", tierNote(t)}
	}
	now := time.Now()
	fresh := t.Fresh
	if fresh.IsZero() {
		fresh = t.Expires
	}
	return []string{t.Tier, "yes", size(t.Size), until(t.Expires, now), until(fresh, now), or(t.Codec, "-"), strconv.FormatUint(t.Version, 10), tierNote(t)}
}

func tierNote(t *chain.TierExplanation) string {
	var notes []string
	if t.Err != nil {
		notes = append(notes, oneLine(t.Err.Error()))
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

func (a *app) statsCommand() *cobra.Command {
	return withTimeout(&cobra.Command{
		Use: "stats", Short: "Print what the tiers hold",
		Long: "Print what the tiers hold. Counters of hits and the like belong to the process\nthat counts them; a program exports its own, see observe/prom.",
		Args: between(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd, false, func(s *session) error { return a.stats(s) })
		},
	})
}

// storeInfo is what a tier's store holds, in JSON.
type storeInfo struct {
	Tier     string             `json:"tier"`
	Entries  int64              `json:"entries"`
	Bytes    int64              `json:"bytes"`
	Capacity int64              `json:"capacity,omitempty"`
	Extra    map[string]float64 `json:"extra,omitempty"`
}

func (a *app) stats(s *session) error {
	var res []storeInfo
	rows := [][]string{{"TIER", "FIGURE", "VALUE"}}
	for _, t := range s.Stats().Tiers {
		if t.Name == "memory" {
			continue // this process's own, which is new
		}
		st := t.Store
		res = append(res, storeInfo{t.Name, st.Entries, st.Bytes, st.Capacity, st.Extra})
		if st.Entries > 0 || st.Bytes > 0 || t.Name != "redis" { // Redis keeps its sizes to itself
			rows = append(rows, []string{t.Name, "entries", strconv.FormatInt(st.Entries, 10)}, []string{t.Name, "bytes", size(st.Bytes)})
		}
		if st.Capacity > 0 {
			rows = append(rows, []string{t.Name, "capacity", size(st.Capacity)})
		}
		for _, name := range sortedKeys(st.Extra) {
			rows = append(rows, []string{t.Name, name, strconv.FormatFloat(st.Extra[name], 'f', -1, 64)})
		}
	}
	if a.json {
		return a.printJSON(res)
	}
	return a.table(rows)
}

func sortedKeys(m map[string]float64) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
