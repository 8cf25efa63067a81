package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stratacache/strata/config"
	"github.com/stratacache/strata/policy"
)

func (a *app) policyCommand() *cobra.Command {
	check := &cobra.Command{
		Use: "check FILE", Short: "Say whether the rules of a file are valid, and list them",
		Long: "Say whether the classes and rules of a file are valid, and list them. The file\nmay be a whole strata.yaml; its other sections are left to \"config show\".",
		Args: between(1, 1, "one FILE"),
		RunE: func(_ *cobra.Command, args []string) error { return a.policyCheck(args[0]) },
	}
	test := &cobra.Command{
		Use: "test KEY...", Short: "Say which rule each key has, and why",
		Long: "Say which rule of the configuration each key has, and why. The exit code is 3\nif any key has none.",
		Args: between(1, -1, "at least one KEY"),
		RunE: func(_ *cobra.Command, args []string) error { return a.policyTest(args) },
	}
	return group("policy", "Check rules, and try keys on them", check, test)
}

// ruleInfo is a rule in JSON.
type ruleInfo struct {
	Name       string            `json:"name"`
	Keys       string            `json:"keys"`
	Line       int               `json:"line,omitempty"`
	Class      string            `json:"class,omitempty"`
	TTL        string            `json:"ttl"`
	Grace      string            `json:"grace,omitempty"`
	Tiers      []string          `json:"tiers,omitempty"`
	TierTTL    map[string]string `json:"tier_ttl,omitempty"`
	Write      string            `json:"write,omitempty"`
	Durable    bool              `json:"durable,omitempty"`
	NeverStale bool              `json:"never_stale,omitempty"`
	Codec      string            `json:"codec,omitempty"`
	Compress   string            `json:"compress,omitempty"`
	Encrypt    string            `json:"encrypt,omitempty"`
	Wire       string            `json:"wire"`
	Tags       []string          `json:"tags,omitempty"`
}

func describe(r *policy.Rule) ruleInfo {
	info := ruleInfo{
		Name: r.Name, Keys: r.Keys.String(), Line: r.Line(), Class: r.Class, TTL: ttl(r.TTL), Tiers: r.Tiers,
		Write: string(r.Write), Durable: r.Durable, NeverStale: r.NeverStale, Codec: r.Codec, Compress: r.Compress,
		Encrypt: r.Encrypt, Wire: string(r.Wire), Tags: r.Tags,
	}
	if g := r.Grace(); g > 0 {
		info.Grace = span(g)
	}
	for tier, d := range r.TierTTL {
		if info.TierTTL == nil {
			info.TierTTL = make(map[string]string)
		}
		info.TierTTL[tier] = span(d)
	}
	return info
}

// problemInfo is a problem in JSON.
type problemInfo struct {
	Line  int    `json:"line,omitempty"`
	Rule  string `json:"rule,omitempty"`
	Field string `json:"field,omitempty"`
	Msg   string `json:"message"`
}

type checkResult struct {
	File     string        `json:"file"`
	OK       bool          `json:"ok"`
	Rules    []ruleInfo    `json:"rules"`
	Problems []problemInfo `json:"problems"`
}

// maxPolicy bounds the bytes of a file of rules.
const maxPolicy = 4 << 20

func (a *app) policyCheck(path string) error {
	data, err := readFile(path, maxPolicy)
	if err != nil {
		return fail(err)
	}
	set, err := policy.ParseWithin(data, config.Sections()...)
	if a.json {
		return errors.Join(a.printJSON(checked(path, set, err)), quiet(err))
	}
	if err != nil {
		return &failure{exitUsage, err}
	}
	if err := a.table(ruleTable(set.Rules())); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s: valid, %d rules\n", path, len(set.Rules()))
	return fail(err)
}

func checked(path string, set *policy.Set, err error) checkResult {
	res := checkResult{File: path, OK: err == nil, Rules: []ruleInfo{}, Problems: []problemInfo{}}
	for _, r := range set.Rules() {
		res.Rules = append(res.Rules, describe(r))
	}
	var pe *policy.Error
	if errors.As(err, &pe) {
		for _, p := range pe.Problems {
			res.Problems = append(res.Problems, problemInfo(p))
		}
	}
	return res
}

// quiet is the failure of a command whose output has said what is wrong.
func quiet(err error) error {
	if err == nil {
		return nil
	}
	return usage("the policy is not valid")
}

func ruleTable(rules []*policy.Rule) [][]string {
	rows := [][]string{{"RULE", "KEYS", "CLASS", "TTL", "GRACE", "TIERS", "WRITE", "WIRE"}}
	for _, r := range rules {
		rows = append(rows, []string{r.Name, r.Keys.String(), or(r.Class, "-"), ttl(r.TTL), or(describe(r).Grace, "-"),
			or(strings.Join(r.Tiers, ","), "all"), or(string(r.Write), "-"), string(r.Wire)})
	}
	return rows
}

func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

// testResult is the outcome of one key in JSON.
type testResult struct {
	Key   string            `json:"key"`
	Rule  *ruleInfo         `json:"rule"`
	Parts map[string]string `json:"parts,omitempty"`
	Why   string            `json:"why"`
}

func (a *app) policyTest(keys []string) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	results := make([]testResult, len(keys))
	rows := [][]string{{"KEY", "RULE", "TTL", "WHY"}}
	missing := 0
	for i, key := range keys {
		e := cfg.Policy.Explain(key)
		results[i] = testResult{Key: key, Why: e.Why}
		name, left := "-", "-"
		if e.Rule == nil {
			missing++
		} else {
			info := describe(e.Rule)
			results[i].Rule = &info
			name, left = e.Rule.Name, info.TTL
		}
		for _, p := range e.Parts {
			if results[i].Parts == nil {
				results[i].Parts = make(map[string]string)
			}
			results[i].Parts[p.Name] = p.Value
		}
		rows = append(rows, []string{key, name, left, e.Why})
	}
	if a.json {
		err = a.printJSON(results)
	} else {
		err = a.table(rows)
	}
	if err == nil && missing > 0 {
		err = &failure{exitNotFound, fmt.Errorf("%d of %d keys have no rule: they get chain.default_ttl", missing, len(keys))}
	}
	return err
}
