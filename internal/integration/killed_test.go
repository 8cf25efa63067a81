package integration

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
)

// Settings of the child of TestKilledWriteBack.
const (
	killedDir   = "STRATA_KILLED_DIR"
	killedRedis = "STRATA_KILLED_REDIS"
	killedRound = "STRATA_KILLED_ROUND"
	killedRules = "STRATA_KILLED_RULES"
)

const durableRules = `
rules:
  - {keys: "k:{id}", ttl: 24h, write: back, durable: true}
`

// killedChain opens the chain whose process is killed: memory, Redis and disk,
// written back.
func killedChain(t testing.TB, dir, redis, rules string) (*chain.Chain, *chain.Cache[string]) {
	t.Helper()
	set, err := policy.Parse([]byte(rules))
	if err != nil {
		t.Fatal(err)
	}
	c, err := chain.New([]chain.Tier{
		{Name: "memory", Store: memory(t)},
		{Name: "redis", Store: shared(t, redis, "killed:"), Shared: true},
		{Name: "disk", Store: disk(t, dir+"/disk")},
	}, set, &chain.Options{Pending: chain.PendingOptions{
		Journal: dir + "/journal", JournalFile: 256 << 10, Interval: 2 * time.Millisecond,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c, chain.NewCache[string](c, nil)
}

// TestKilledChild runs writers and readers of the same few keys until it is
// killed. It says what it is about to do, and what came of it.
func TestKilledChild(t *testing.T) {
	dir := os.Getenv(killedDir)
	if dir == "" {
		t.Skip("run by TestKilledWriteBack")
	}
	_, cache := killedChain(t, dir, os.Getenv(killedRedis), os.Getenv(killedRules))
	say := func(format string, args ...any) { _, _ = os.Stdout.WriteString(fmt.Sprintf(format, args...) + "\n") }
	say("ready")
	ctx := context.Background()
	var wg sync.WaitGroup
	for w := range 6 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(rand.Uint64(), uint64(w)))
			for i := 0; ; i++ {
				key := fmt.Sprintf("k:%d", rng.IntN(8))
				value := fmt.Sprintf("%s.%d.%d", os.Getenv(killedRound), w, i)
				var err error
				switch n := rng.IntN(10); {
				case n < 5:
					say("b %d set %s %s", w, key, value)
					err = cache.Set(ctx, key, value)
				case n < 7:
					say("b %d set %s -", w, key)
					value = "-"
					err = cache.Delete(ctx, key)
				default:
					say("b %d get %s ?", w, key)
					value, err = cache.Get(ctx, key)
					if errors.Is(err, store.ErrNotFound) {
						value, err = "-", nil
					}
				}
				if err != nil {
					say("f %d %v", w, err)
				} else {
					say("e %d %s", w, value)
				}
			}
		})
	}
	wg.Wait()
}

// killedOp is an operation of a history: a write of value, where "-" is a delete,
// or a read that returned it.
type killedOp struct {
	op, key, value string
}

// registers is the model of a key: what was written last, "-" being nothing.
var registers = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, o := range history {
			key := o.Input.(killedOp).key
			byKey[key] = append(byKey[key], o)
		}
		var parts [][]porcupine.Operation
		for _, p := range byKey {
			parts = append(parts, p)
		}
		return parts
	},
	Init: func() any { return "-" },
	Step: func(state, input, output any) (bool, any) {
		in := input.(killedOp)
		if in.op == "set" {
			return true, in.value
		}
		return output == state, state
	},
}

// linearizable reports whether a history has an order that explains it.
func linearizable(t testing.TB, history []porcupine.Operation) bool {
	switch porcupine.CheckOperationsTimeout(registers, history, 20*time.Second) {
	case porcupine.Ok:
		return true
	case porcupine.Unknown:
		t.Log("porcupine found no answer in time")
		return true
	default:
		return false
	}
}

// readHistory turns what a child said into operations. Operations that it did not
// end may have happened or not: they are open until the end of time.
func readHistory(t testing.TB, lines []string, before map[string]string) []porcupine.Operation {
	var history []porcupine.Operation
	for key, value := range before {
		history = append(history, porcupine.Operation{ClientId: 99, Input: killedOp{"set", key, value}, Call: -2, Return: -1})
	}
	open := map[string]*porcupine.Operation{}
	for at, line := range lines {
		f := strings.Fields(line)
		switch {
		case len(f) == 5 && f[0] == "b":
			open[f[1]] = &porcupine.Operation{ClientId: len(open), Input: killedOp{f[2], f[3], f[4]}, Call: int64(at)}
		case len(f) == 3 && f[0] == "e" && open[f[1]] != nil:
			o := open[f[1]]
			o.Output, o.Return = f[2], int64(at)
			history = append(history, *o)
			delete(open, f[1])
		case len(f) > 0 && f[0] == "f":
			t.Errorf("the child failed: %s", line)
		}
	}
	for _, o := range open {
		if o.Input.(killedOp).op == "set" {
			o.Return = math.MaxInt64
			history = append(history, *o)
		}
	}
	return history
}

// killRound runs a child and kills it after that long.
func killRound(t testing.TB, dir, redis, rules string, round int, after time.Duration) (lines []string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledChild$")
	cmd.Env = append(os.Environ(), killedDir+"="+dir, killedRedis+"="+redis, killedRules+"="+rules, fmt.Sprintf("%s=%d", killedRound, round))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for sc := bufio.NewScanner(out); sc.Scan(); {
		if sc.Text() == "ready" {
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		lines = append(lines, sc.Text())
	}
	_ = cmd.Wait()
	return lines
}

// reopen opens the chain after a kill and returns what it reads. With drain it also
// checks that every tier comes to the same, which holds where writes are durable:
// others may have reached one tier and not the next.
func reopen(t testing.TB, dir, redis, rules string, drain bool) map[string]string {
	t.Helper()
	ctx := context.Background()
	c, cache := killedChain(t, dir, redis, rules)
	state := map[string]string{}
	for i := range 8 {
		key := fmt.Sprintf("k:%d", i)
		v, err := cache.Get(ctx, key)
		switch {
		case errors.Is(err, store.ErrNotFound):
			v = "-"
		case err != nil:
			t.Fatal(err)
		}
		state[key] = v
	}
	if !drain { // the next process replays
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		_ = c.Close(ctx)
		return state
	}
	if err := c.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	for key, value := range state {
		x, err := c.Explain(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		for _, tier := range x.Tiers[1:] {
			if rules == durableRules && (tier.Present != (value != "-") || tier.Pending != "") {
				t.Errorf("%s is %q, but tier %s: present %v, pending %q", key, value, tier.Tier, tier.Present, tier.Pending)
			}
		}
	}
	if err := c.Close(ctx); err != nil {
		t.Fatal(err)
	}
	return state
}

// runKilled kills and checks until a history cannot be explained, and reports
// whether that happened.
func runKilled(t testing.TB, rules string, rounds int) (violated bool, ops int) {
	s := redistest.Start(t)
	dir := t.TempDir()
	state := map[string]string{}
	for i := range 8 {
		state[fmt.Sprintf("k:%d", i)] = "-"
	}
	for round := range rounds {
		lines := killRound(t, dir, s.Addr, rules, round, time.Duration(rand.IntN(150))*time.Millisecond)
		history := readHistory(t, lines, state)
		ops += len(history)
		state = reopen(t, dir, s.Addr, rules, round%2 == 0)
		end := int64(len(lines))
		for key, value := range state {
			history = append(history, porcupine.Operation{ClientId: 100, Input: killedOp{"get", key, ""}, Output: value, Call: end + 1, Return: end + 2})
		}
		if !linearizable(t, history) {
			return true, ops
		}
	}
	return false, ops
}

// TestKilledWriteBack kills a process with writers and readers of the same keys at
// random moments: after the replay, each key holds its last acknowledged
// operation, or one that was under way, and nothing that a reader saw is undone.
// With STRATA_TORTURE=1 it does so 200 times.
func TestKilledWriteBack(t *testing.T) {
	rounds := 10
	if os.Getenv("STRATA_TORTURE") != "" {
		rounds = 200
	}
	violated, ops := runKilled(t, durableRules, rounds)
	if violated {
		t.Error("no order of the operations explains what was read after the kill")
	}
	t.Logf("%d rounds, %d operations", rounds, ops)
}

// The check is worth something: without durable, it finds the lost writes.
func TestKilledCheckFindsLoss(t *testing.T) {
	if violated, ops := runKilled(t, strings.ReplaceAll(durableRules, "durable: true", "durable: false"), 20); !violated {
		t.Errorf("nothing was lost in %d operations without a journal: the test is blind", ops)
	}
}

// It finds each kind of violation in a history made for it.
func TestKilledCheckFindsViolations(t *testing.T) {
	op := func(what, value string, call, ret int64) porcupine.Operation {
		o := porcupine.Operation{ClientId: int(call), Input: killedOp{what, "k", value}, Call: call, Return: ret}
		if what == "get" {
			o.Output = value
		}
		return o
	}
	for name, c := range map[string]struct {
		ok      bool
		history []porcupine.Operation
	}{
		"kept":            {true, []porcupine.Operation{op("set", "a", 0, 1), op("get", "a", 8, 9)}},
		"open, took":      {true, []porcupine.Operation{op("set", "a", 0, 1), op("set", "b", 2, math.MaxInt64), op("get", "b", 8, 9)}},
		"open, did not":   {true, []porcupine.Operation{op("set", "a", 0, 1), op("set", "b", 2, math.MaxInt64), op("get", "a", 8, 9)}},
		"lost":            {false, []porcupine.Operation{op("set", "a", 0, 1), op("set", "b", 2, 3), op("get", "a", 8, 9)}},
		"delete lost":     {false, []porcupine.Operation{op("set", "a", 0, 1), op("set", "-", 2, 3), op("get", "a", 8, 9)}},
		"read and undone": {false, []porcupine.Operation{op("set", "a", 0, 1), op("set", "b", 2, math.MaxInt64), op("get", "b", 3, 4), op("get", "a", 8, 9)}},
	} {
		if linearizable(t, c.history) != c.ok {
			t.Errorf("%s: the check says %v; want %v", name, !c.ok, c.ok)
		}
	}
}
