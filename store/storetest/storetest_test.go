package storetest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stratacache/strata/store"
)

func TestReferenceStore(t *testing.T) {
	var last *refStore
	Run(t, func(testing.TB) store.Store { last = newRef(""); return last }, &Options{
		Reopen: func(testing.TB) store.Store {
			again := newRef("")
			again.m = last.m
			last = again
			return again
		},
	})
}

// TestBareStore runs the suite on a store with the four methods alone, so that
// every capability goes through its fall-back.
func TestBareStore(t *testing.T) {
	type bare struct{ store.Store }
	Run(t, func(testing.TB) store.Store { return bare{newRef("")} }, &Options{Rounds: 200})
}

// bugs are the planted faults and, for each, the cases that must fail.
var bugs = []struct {
	bug   string
	cases string
}{
	{"wrapped miss", "Miss"},
	{"miss is nil", "Miss Delete"},
	{"drops tags", "Fields GetMany SetMany Reopen"},
	{"drops version", "Fields BigBatch"},
	{"drops fresh", "Fields"},
	{"drops codec", "Fields"},
	{"empty value is nothing", "EmptyValue"},
	{"cuts values", "ValueSizes"},
	{"text values", "BinaryValue"},
	{"keeps first value", "Overwrite Linearizable"},
	{"keeps first deadline", "Overwrite ShorterThanBefore"},
	{"set compares versions", "Overwrite"},
	{"forgets deletes", "Delete DeleteRace"},
	{"delete of absent fails", "Delete DeleteMany"},
	{"reuses buffers", "Ownership"},
	{"ignores context", "Cancelled"},
	{"a cancelled read is a miss", "Cancelled"},
	{"takes the empty key", "EmptyKey"},
	{"batch fails whole", "EmptyKey"},
	{"cuts keys", "LongKeys"},
	{"folds case", "KeyForms"},
	{"slash is colon", "KeyForms"},
	{"never is a day", "Never"},
	{"ttl in seconds", "Deadlines Expiry"},
	{"short ttl is for ever", "Deadlines Expiry"},
	{"distant deadline wraps", "DistantDeadline"},
	{"sliding expiry", "Deadlines"},
	{"expired set is ignored", "SetExpired SetMany"},
	{"returns expired", "Expiry ShorterThanBefore GetMany"},
	{"nil map", ""}, // package store mends it
	{"absent keys in map", "GetMany"},
	{"answers move up", "GetEach"},
	{"absent keys are found", "GetEach"},
	{"each fails whole", "GetEach"},
	{"batch mixes keys", "GetMany"},
	{"batch drops deadlines", "SetMany"},
	{"batch is cut", "BigBatch"},
	{"fill overwrites", "FillOrder FillRace"},
	{"fill extends", "FillKeepsDeadline"},
	{"fill says stored", "FillOrder"},
	{"fill is not atomic", "FillConcurrent FillRace"},
	{"expired blocks fill", "FillAbsent"},
	{"scans expired", "Scan"},
	{"scan takes globs", "ScanPrefix"},
	{"clears half", "Clear ClearRace"},
	{"clear resets counters", "Stats"},
	{"counts twice", "Stats"},
	{"works after close", "Closed"},
	{"second close fails", "Closed"},
	{"stale reads", "Linearizable ReadYourWrites"},
}

// TestPlantedBugs proves that the suite catches what it is for.
func TestPlantedBugs(t *testing.T) {
	for _, b := range bugs {
		t.Run(strings.ReplaceAll(b.bug, " ", "-"), func(t *testing.T) {
			t.Parallel()
			cases := strings.Fields(b.cases)
			for _, name := range cases {
				out := runCase(t, name, b.bug)
				if !out.failed {
					t.Errorf("case %s passed a store that %s", name, b.bug)
				} else if !strings.Contains(out.log(), out.why) {
					t.Errorf("the failure of case %s does not say why it matters: %s", name, out.log())
				}
			}
			// The others must neither panic nor hang; Miss stands for them.
			if len(cases) == 0 {
				runCase(t, "Miss", b.bug)
			}
		})
	}
}

// TestUnlockedReadIsLinearizable guards the model against false alarms: giving
// up the lock before a read is still linearizable.
func TestUnlockedReadIsLinearizable(t *testing.T) {
	for _, name := range []string{"Linearizable", "DeleteRace", "ReadYourWrites"} {
		if out := runCase(t, name, "unlocked read"); out.failed {
			t.Errorf("%s failed a correct store: %s", name, out.log())
		}
	}
}

// TestEvictingStore checks the latitude of Evicts: losses pass, a store that
// holds nothing does not, nor does one that brings an older value back.
func TestEvictingStore(t *testing.T) {
	opts := Options{Evicts: true, Rounds: 200}
	Run(t, func(testing.TB) store.Store { return &lossy{refStore: newRef(""), every: 5} }, &opts)
	out := runOn(t, "RoundTrip", opts, &lossy{refStore: newRef(""), every: 1})
	if !out.failed {
		t.Error("RoundTrip passed a store that holds nothing")
	}
	out = runOn(t, "Linearizable", opts, &lossy{refStore: newRef("stale reads"), every: 5})
	if !out.failed {
		t.Error("Linearizable passed a store that brings older values back")
	}
}

// lossy forgets the key of every so many Sets.
type lossy struct {
	*refStore
	every uint64
}

func (l *lossy) Get(ctx context.Context, key string) (store.Entry, error) {
	l.mu.Lock()
	if l.st.Sets%l.every == 0 && l.bug == "" {
		delete(l.m, key)
	}
	l.mu.Unlock()
	return l.refStore.Get(ctx, key)
}

func (l *lossy) GetMany(ctx context.Context, keys []string) (map[string]store.Entry, error) {
	return l.refStore.GetMany(ctx, keys)
}

// TestCaseNames: names are unique and explained, for people select and skip by
// them.
func TestCaseNames(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range allCases() {
		if seen[c.name] || c.name == "" || len(c.why) < 20 {
			t.Errorf("case %q: repeated, unnamed or unexplained", c.name)
		}
		seen[c.name] = true
	}
	for _, b := range bugs {
		for _, name := range strings.Fields(b.cases) {
			if !seen[name] {
				t.Errorf("bug %q names an unknown case %s", b.bug, name)
			}
		}
	}
}

// outcome is a testing.TB that records what a case reports. It embeds the real
// one for all that does not report.
type outcome struct {
	testing.TB
	why string

	mu       sync.Mutex
	failed   bool
	lines    []string
	cleanups []func()
}

func runCase(t *testing.T, name, bug string) *outcome {
	t.Helper()
	ref := newRef(bug)
	opts := Options{Rounds: 2000}
	if name == "Reopen" {
		opts.Reopen = func(testing.TB) store.Store {
			again := newRef(bug)
			again.m = ref.m
			ref = again
			return again
		}
	}
	return runOn(t, name, opts, ref)
}

// runOn runs one case in a goroutine of its own, because a fatal failure ends
// the goroutine.
func runOn(t *testing.T, name string, opts Options, s store.Store) *outcome {
	t.Helper()
	cases := allCases()
	i := slices.IndexFunc(cases, func(c testCase) bool { return c.name == name })
	if i < 0 {
		t.Fatalf("no case %s", name)
	}
	out := &outcome{TB: t, why: cases[i].why}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer out.clean()
		cases[i].do(out, func(testing.TB) store.Store { return s }, opts)
	}()
	<-done
	return out
}

func (o *outcome) clean() {
	for _, f := range slices.Backward(o.cleanups) {
		f()
	}
}

func (o *outcome) report(fail bool, s string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failed = o.failed || fail
	o.lines = append(o.lines, s)
}

func (o *outcome) log() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.lines, "\n")
}

func (o *outcome) Failed() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failed
}

func (o *outcome) Cleanup(f func())          { o.cleanups = append(o.cleanups, f) }
func (o *outcome) Error(a ...any)            { o.report(true, fmt.Sprintln(a...)) }
func (o *outcome) Errorf(f string, a ...any) { o.report(true, fmt.Sprintf(f, a...)) }
func (o *outcome) Log(a ...any)              { o.report(false, fmt.Sprintln(a...)) }
func (o *outcome) Logf(f string, a ...any)   { o.report(false, fmt.Sprintf(f, a...)) }
func (o *outcome) Fail()                     { o.report(true, "") }
func (o *outcome) FailNow()                  { o.Fail(); runtime.Goexit() }
func (o *outcome) Fatal(a ...any)            { o.Error(a...); runtime.Goexit() }
func (o *outcome) Fatalf(f string, a ...any) { o.Errorf(f, a...); runtime.Goexit() }
func (o *outcome) Skip(a ...any)             { o.Log(a...); runtime.Goexit() }
func (o *outcome) Skipf(f string, a ...any)  { o.Logf(f, a...); runtime.Goexit() }
