// Package turns measures implementations of the same work in turns: all are open
// in one process, each runs for a moment, then it is the next one's turn, in an
// order that shifts by one each round. A machine that is slow for a while is so
// for all of them.
//
// # Flags
//
// It takes the flags of go test in their own meaning: -count is the number of
// rounds, -benchtime how long a turn is ("30ms") or how many operations it has
// ("100x"). The environment's IMPL, a regular expression, leaves out the
// implementations that it does not match, for a profile of one.
//
// # Output
//
// A line a round and implementation, in the form of go test's own, with the
// implementation as impl=NAME: what benchstat and ../report read. Lines of a
// round belong together.
package turns

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Subject is one implementation of a workload.
type Subject struct {
	// Name is what it is called in the results.
	Name string
	// Do does n operations; i of its operations were done before. Where callers
	// share a turn, each calls it for his part at the same time.
	Do func(i, n int) error
	// Settle runs after each turn and is not measured: it waits for work that the
	// turn left to the background. Nil is nothing.
	Settle func() error
	// Limit is the most operations of a turn; 0 is no limit.
	Limit int
	// Figures returns further results of the n operations of a turn, by unit
	// ("loads/op"). Nil is none.
	Figures func(n int) map[string]float64
}

// Each makes a Do of a function that does one operation.
func Each(op func(i int) error) func(i, n int) error {
	return func(i, n int) error {
		for end := i + n; i < end; i++ {
			if err := op(i); err != nil {
				return err
			}
		}
		return nil
	}
}

// Run measures a workload, named after b, of which callers share each turn. It
// does not return to the benchmark function, which has nothing more to say.
func Run(b *testing.B, callers int, subjects []Subject) {
	b.Helper()
	rounds, turn := plan()
	all := chosen(b, callers, subjects)
	for _, r := range all {
		r.calibrate(b, turn)
	}
	for round := range rounds {
		for k := range all {
			all[(k+round)%len(all)].turn(b)
		}
	}
	header(b)
	for round := range rounds {
		for _, r := range all {
			fmt.Println(r.line(b.Name(), round))
		}
	}
	b.SkipNow() // or the framework would measure the function itself
}

// length is how long a turn lasts: ops if not 0, else time.
type length struct {
	time time.Duration
	ops  int
}

// plan reads the flags of go test.
func plan() (rounds int, turn length) {
	rounds = 1
	if f := flag.Lookup("test.count"); f != nil {
		if n, err := strconv.Atoi(f.Value.String()); err == nil {
			rounds = max(1, n)
		}
	}
	turn.time = time.Second
	if f := flag.Lookup("test.benchtime"); f != nil {
		v := f.Value.String()
		if n, err := strconv.Atoi(strings.TrimSuffix(v, "x")); err == nil {
			turn.ops = n
		} else if d, err := time.ParseDuration(v); err == nil {
			turn.time = d
		}
	}
	return rounds, turn
}

func chosen(b *testing.B, callers int, subjects []Subject) []*run {
	b.Helper()
	want, err := regexp.Compile(os.Getenv("IMPL"))
	if err != nil {
		b.Fatalf("IMPL: %v", err)
	}
	var all []*run
	for _, s := range subjects {
		if want.MatchString(s.Name) {
			all = append(all, &run{Subject: s, callers: callers})
		}
	}
	if len(all) == 0 {
		b.Skipf("IMPL=%s matches nothing here", want)
	}
	return all
}

// run is a subject with its results.
type run struct {
	Subject
	callers int
	n       int // operations of a turn
	done    int
	results []result
}

type result struct {
	ns, bytes, allocs float64
	figures           map[string]float64
}

// calibrate finds out how many operations fit a turn.
func (r *run) calibrate(b *testing.B, turn length) {
	b.Helper()
	if turn.ops > 0 {
		r.n = max(r.limited(turn.ops)/r.callers, 1) * r.callers
		return
	}
	for n := r.callers; ; n *= 2 {
		took := r.do(b, n)
		r.settle(b)
		if took > turn.time/4 || n > 1<<28 {
			fit := int(float64(n) * float64(turn.time) / float64(max(took, 1)))
			r.n = max(r.limited(fit)/r.callers, 1) * r.callers
			break
		}
	}
	if r.Figures != nil {
		r.Figures(0) // begins anew
	}
}

func (r *run) limited(n int) int {
	if r.Limit > 0 {
		return min(n, r.Limit)
	}
	return n
}

// do runs n operations, shared by the callers, and returns how long they took.
func (r *run) do(b *testing.B, n int) time.Duration {
	b.Helper()
	at := r.done
	r.done += n
	start := time.Now()
	if r.callers == 1 {
		if err := r.Do(at, n); err != nil {
			b.Fatalf("%s: %v", r.Name, err)
		}
		return time.Since(start)
	}
	var wg sync.WaitGroup
	share := n / r.callers
	for c := range r.callers {
		wg.Go(func() {
			if err := r.Do(at+c*share, share); err != nil {
				b.Errorf("%s: %v", r.Name, err)
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

func (r *run) settle(b *testing.B) {
	b.Helper()
	if r.Settle == nil {
		return
	}
	if err := r.Settle(); err != nil {
		b.Fatalf("%s: %v", r.Name, err)
	}
}

func (r *run) turn(b *testing.B) {
	b.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	took := r.do(b, r.n)
	runtime.ReadMemStats(&after)
	r.settle(b)
	per := func(v float64) float64 { return v / float64(r.n) }
	res := result{
		ns: per(float64(took)), bytes: per(float64(after.TotalAlloc - before.TotalAlloc)), allocs: per(float64(after.Mallocs - before.Mallocs)),
	}
	if r.Figures != nil {
		res.figures = r.Figures(r.n)
	}
	r.results = append(r.results, res)
}

// header says of which package the lines are, as go test does before its own.
func header(b *testing.B) {
	b.Helper()
	for skip := 1; ; skip++ {
		pc, _, _, ok := runtime.Caller(skip)
		if !ok {
			return
		}
		name := runtime.FuncForPC(pc).Name()
		slash := strings.LastIndexByte(name, '/')
		pkg := name[:slash+1+strings.IndexByte(name[slash+1:], '.')]
		if !strings.HasSuffix(pkg, "/turns") {
			fmt.Println("pkg:", pkg)
			return
		}
	}
}

// line is a round's result in the form of the benchmarks of go test.
func (r *run) line(name string, round int) string {
	res := r.results[round]
	procs := ""
	if n := runtime.GOMAXPROCS(0); n > 1 {
		procs = fmt.Sprint("-", n)
	}
	var l strings.Builder
	fmt.Fprintf(&l, "%s/impl=%s%s\t%d\t%s ns/op", name, r.Name, procs, r.n, figure(res.ns))
	for _, unit := range sorted(res.figures) {
		fmt.Fprintf(&l, "\t%s %s", figure(res.figures[unit]), unit)
	}
	fmt.Fprintf(&l, "\t%.0f B/op\t%.0f allocs/op", res.bytes, res.allocs)
	return l.String()
}
