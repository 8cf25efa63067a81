// Report turns the output of the benchmarks into a page that can be read:
//
//	go run ./report -out . bench.txt...
//
// writes RESULTS.md, and a chart a workload into charts/. The input is what go
// test -bench prints, several passes of it one after the other, as "make bench"
// leaves them. A workload is a benchmark whose name has a part impl=NAME, and all
// that differ in that part only are shown together.
//
// Times are medians over the passes. Ratios are taken pass by pass and summed up
// as their median with its confidence interval (95 % where there are passes
// enough), so that a machine which is slow for a while is slow for all. Where the
// interval includes 1, the noise is larger than the difference, and the page says
// so instead of a ratio.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("out", ".", "directory for RESULTS.md and charts/")
	flag.Parse()
	if err := run(*out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(out string, files []string) error {
	if len(files) == 0 {
		return fmt.Errorf("no files given; run it as: go run ./report -out DIR bench.txt")
	}
	r, err := read(files)
	if err != nil {
		return err
	}
	if len(r.workloads) == 0 {
		return fmt.Errorf("%v: no benchmark has a part impl=NAME in its name", files)
	}
	charts := filepath.Join(out, "charts")
	if err := os.RemoveAll(charts); err != nil { // a workload may have gone
		return err
	}
	if err := os.MkdirAll(charts, 0o755); err != nil {
		return err
	}
	for _, w := range r.workloads {
		if len(w.impls) < 2 {
			continue
		}
		if err := os.WriteFile(filepath.Join(charts, w.file()+".svg"), []byte(chart(w)), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(out, "RESULTS.md"), []byte(page(r)), 0o644)
}
