package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// results are what the files hold.
type results struct {
	machine   []benchfmt.Config // what is the same for all, in the order of the file
	workloads []*workload       // by package and in the order of the file
}

// workload is one piece of work, done by several implementations.
type workload struct {
	pkg   string // last part of the import path
	name  string // of the benchmark, without "Benchmark" and the implementation
	procs string // GOMAXPROCS
	impls []*impl
}

// impl is one implementation of a workload: a value a pass, for each unit.
type impl struct {
	name  string
	units []string
	runs  map[string][]float64
	unit  string // of what is compared; empty: perOp
}

const perOp = "sec/op"

// times returns what is compared, pass by pass: the seconds an operation took, or
// another figure of which less is better where no time was measured.
func (i *impl) times() []float64 { return i.runs[i.measure()] }

func (i *impl) measure() string { return cmp.Or(i.unit, perOp) }

// floor reports whether it is no peer but a part of one, without what a cache has
// to do: it shows what is the least that the work can take.
func (i *impl) floor() bool { return strings.HasPrefix(i.name, "floor-") }

// ours reports whether the implementation is strata.
func (i *impl) ours() bool { return strings.HasPrefix(i.name, "strata") }

// reference returns the implementation that the others are compared with: strata,
// or the best of those that have its name with an addition, or else the first.
func (w *workload) reference() *impl {
	var best *impl
	for _, i := range w.impls {
		switch {
		case i.name == "strata":
			return i
		case i.ours() && (best == nil || spreadOf(i.times()).mid < spreadOf(best.times()).mid):
			best = i
		}
	}
	return cmp.Or(best, w.impls[0])
}

// rival returns the best of the others, floors left out; nil if there is none.
func (w *workload) rival() *impl {
	var best *impl
	for _, i := range w.impls {
		if !i.ours() && !i.floor() && (best == nil || spreadOf(i.times()).mid < spreadOf(best.times()).mid) {
			best = i
		}
	}
	return best
}

// file is the workload's name as a file name.
func (w *workload) file() string {
	return strings.NewReplacer("/", "-", "=", "-", " ", "-").Replace(w.pkg + "-" + w.name)
}

// read reads all files as one.
func read(files []string) (*results, error) {
	r := &results{}
	in := benchfmt.Files{Paths: files}
	for in.Scan() {
		switch rec := in.Result().(type) {
		case *benchfmt.Result:
			r.add(rec)
		case *benchfmt.SyntaxError:
			return nil, rec
		}
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(r.workloads, func(a, b *workload) int { return cmp.Compare(a.pkg, b.pkg) })
	for _, w := range r.workloads {
		w.settle()
		if err := w.check(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *results) add(rec *benchfmt.Result) {
	base, parts := rec.Name.Parts()
	name, implName, procs := string(base), "", ""
	for _, p := range parts {
		switch s := string(p); {
		case strings.HasPrefix(s, "/impl="):
			implName = strings.TrimPrefix(s, "/impl=")
		case strings.HasPrefix(s, "-"):
			procs = s[1:]
		default:
			name += s
		}
	}
	if implName == "" {
		return
	}
	pkg := rec.GetConfig("pkg")
	r.note(rec)
	i := r.impl(pkg[strings.LastIndexByte(pkg, '/')+1:], strings.TrimPrefix(name, "Benchmark"), procs, implName)
	for _, v := range rec.Values {
		if _, ok := i.runs[v.Unit]; !ok {
			i.units = append(i.units, v.Unit)
		}
		i.runs[v.Unit] = append(i.runs[v.Unit], v.Value)
	}
}

// note keeps what the file says of the machine and the versions.
func (r *results) note(rec *benchfmt.Result) {
	for _, c := range rec.Config {
		if !c.File || c.Key == "pkg" || slices.ContainsFunc(r.machine, func(m benchfmt.Config) bool { return m.Key == c.Key }) {
			continue
		}
		r.machine = append(r.machine, benchfmt.Config{Key: c.Key, Value: slices.Clone(c.Value)})
	}
}

func (r *results) impl(pkg, name, procs, implName string) *impl {
	at := slices.IndexFunc(r.workloads, func(w *workload) bool { return w.pkg == pkg && w.name == name && w.procs == procs })
	if at < 0 {
		at = len(r.workloads)
		r.workloads = append(r.workloads, &workload{pkg: pkg, name: name, procs: procs})
	}
	w := r.workloads[at]
	for _, i := range w.impls {
		if i.name == implName {
			return i
		}
	}
	i := &impl{name: implName, runs: map[string][]float64{}}
	w.impls = append(w.impls, i)
	return i
}

// settle chooses what is compared.
func (w *workload) settle() {
	unit := perOp
	if !slices.Contains(w.impls[0].units, perOp) {
		unit = w.impls[0].units[0]
	}
	for _, i := range w.impls {
		i.unit = unit
	}
}

// check refuses a workload whose passes cannot be set against each other.
func (w *workload) check() error {
	want := len(w.reference().times())
	for _, i := range w.impls {
		if got := len(i.times()); got != want {
			return fmt.Errorf("%s %s: impl=%s has %d passes and impl=%s has %d; the run was cut short, or the files are of different runs",
				w.pkg, w.name, w.reference().name, want, i.name, got)
		}
	}
	return nil
}
