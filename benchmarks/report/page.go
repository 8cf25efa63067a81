package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/perf/benchunit"
)

// page is RESULTS.md.
func page(r *results) string {
	var b strings.Builder
	b.WriteString(`# Results

strata beside other caches and stores, measured by "make bench" and written by [report](report/main.go): not by hand.
What each workload does is said in its folder, and what a peer cannot do in [README.md](README.md). "of strata's" is the
time of one divided by the time of strata (the row of that name, or the best of those that begin with it) in the same pass,
median over the passes with its 95 % confidence interval: 2 is twice as slow. Where that interval includes 1 the noise of
the machine is larger than the difference, and there is no ratio to quote. Rows that begin with "floor" are no peers, but
the least that the work can take: an engine or a client by itself, without what a cache has to do.

| | |
| --- | --- |
`)
	for _, m := range r.machine {
		fmt.Fprintf(&b, "| %s | %s |\n", m.Key, m.Value)
	}
	fmt.Fprintf(&b, "| passes | %s |\n", passes(r))
	b.WriteString(summary(r))
	pkg := ""
	for _, w := range r.workloads {
		if w.pkg != pkg {
			pkg = w.pkg
			fmt.Fprintf(&b, "\n## %s\n", pkg)
		}
		b.WriteString("\n" + section(w))
	}
	return b.String()
}

// summary is a table of strata and the best of the peers, a line a workload.
func summary(r *results) string {
	var b strings.Builder
	b.WriteString("\n## Summary\n\nThe best peer of each workload; bold where strata takes less.\n\n" +
		"| | workload | strata | best peer | | of strata's |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, w := range r.workloads {
		ref, rival := w.reference(), w.rival()
		if !ref.ours() || rival == nil {
			continue
		}
		ratio := against(rival, ref)
		if s := spreadOf(ratios(rival.times(), ref.times())); !s.undecided() && s.mid > 1 {
			ratio = "**" + ratio + "**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", w.pkg, w.name,
			figure(ref.measure(), spreadOf(ref.times()).mid), rival.name, figure(rival.measure(), spreadOf(rival.times()).mid), ratio)
	}
	return b.String()
}

// passes says how many there are.
func passes(r *results) string {
	lo, hi := len(r.workloads[0].reference().times()), 0
	for _, w := range r.workloads {
		n := len(w.reference().times())
		lo, hi = min(lo, n), max(hi, n)
	}
	if lo == hi {
		return fmt.Sprint(lo)
	}
	return fmt.Sprintf("%d to %d", lo, hi)
}

// section is a workload's table, fastest first.
func section(w *workload) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", w.name)
	units := w.units()
	what := w.reference().measure()
	if what == perOp {
		what = "time"
	}
	fmt.Fprintf(&b, "| | %s | ± | of strata's |", what)
	for _, u := range units {
		fmt.Fprintf(&b, " %s |", u)
	}
	b.WriteString("\n| --- | --- | --- | --- |" + strings.Repeat(" --- |", len(units)) + "\n")
	ref, noisy := w.reference(), false
	for _, i := range w.sorted() {
		s := spreadOf(i.times())
		fmt.Fprintf(&b, "| %s | %s | %.0f %% | %s |", strong(i), figure(i.measure(), s.mid), s.percent(), against(i, ref))
		noisy = noisy || i != ref && spreadOf(ratios(i.times(), ref.times())).undecided()
		for _, u := range units {
			b.WriteString(" " + value(i, u) + " |")
		}
		b.WriteString("\n")
	}
	if noisy {
		b.WriteString("\nNoise: where no ratio is given, the passes differ more among themselves than the two do.\n")
	}
	if len(w.impls) > 1 {
		fmt.Fprintf(&b, "\n![%s](charts/%s.svg)\n", w.name, w.file())
	}
	return b.String()
}

// sorted returns the implementations, fastest first.
func (w *workload) sorted() []*impl {
	return slices.SortedStableFunc(slices.Values(w.impls), func(a, b *impl) int {
		return cmp.Compare(spreadOf(a.times()).mid, spreadOf(b.times()).mid)
	})
}

// units are those of the workload beside the time, in the order of the file.
func (w *workload) units() []string {
	var all []string
	for _, i := range w.impls {
		for _, u := range i.units {
			if u != i.measure() && !slices.Contains(all, u) {
				all = append(all, u)
			}
		}
	}
	return all
}

func strong(i *impl) string {
	if i.ours() {
		return "**" + i.name + "**"
	}
	return i.name
}

// against is the ratio of i to the reference, as the page shows it.
func against(i, ref *impl) string {
	if i == ref {
		return "1"
	}
	s := spreadOf(ratios(i.times(), ref.times()))
	if s.undecided() {
		return fmt.Sprintf("noise (%.2f to %.2f)", s.lo, s.hi)
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", s.mid, s.lo, s.hi)
}

// value is the median of a unit, "-" where it was not measured.
func value(i *impl, unit string) string {
	v, ok := i.runs[unit]
	if !ok {
		return "-"
	}
	m := spreadOf(v).mid
	if m >= 1024 {
		return benchunit.Scale(m, benchunit.ClassOf(unit))
	}
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", m), "0"), ".")
}

// figure is a value of the unit that is compared.
func figure(unit string, v float64) string {
	if unit == perOp {
		return seconds(v)
	}
	return fmt.Sprintf("%.3g", v)
}

// seconds is a time with its unit.
func seconds(s float64) string {
	for _, u := range []struct {
		name string
		size float64
	}{{"s", 1}, {"ms", 1e-3}, {"µs", 1e-6}} {
		if s >= u.size {
			return fmt.Sprintf("%.3g %s", s/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.3g ns", s/1e-9)
}
