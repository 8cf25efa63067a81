package main

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden compares a page and its charts with those kept in testdata. The
// input has ten passes, every third of them on a machine half as fast.
func TestGolden(t *testing.T) {
	out := t.TempDir()
	if err := run(out, []string{"testdata/bench.txt"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"RESULTS.md", "charts/hit-Get-value-string-mode-serial.svg", "charts/hit-Herd.svg"} {
		got, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", filepath.Base(name))
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is not as in testdata; run the test with -update and look at the difference", name)
		}
	}
}

// TestNoiseIsNotARatio checks the heart of it: a slow pass is slow for all, and
// two that differ less than the noise are not told apart.
func TestNoiseIsNotARatio(t *testing.T) {
	r, err := read([]string{"testdata/bench.txt"})
	if err != nil {
		t.Fatal(err)
	}
	w := r.workloads[0]
	got := map[string]spread{}
	for _, i := range w.impls {
		got[i.name] = spreadOf(ratios(i.times(), w.reference().times()))
	}
	if s := got["alike"]; !s.undecided() {
		t.Errorf("alike: %+v is told apart from strata", s)
	}
	if s := got["ristretto"]; s.undecided() || s.mid < 1.35 || s.mid > 1.65 {
		t.Errorf("ristretto: %+v, want about 1.5", s)
	}
	if s := got["gocache"]; s.undecided() || s.mid < 54 || s.mid > 66 {
		t.Errorf("gocache: %+v, want about 60", s)
	}
	if text := section(w); !strings.Contains(text, "noise (") || !strings.Contains(text, "Noise:") {
		t.Errorf("the page does not warn:\n%s", text)
	}
}

func TestChartsAreXML(t *testing.T) {
	for _, times := range [][]float64{{1e-9, 2e-9}, {1e-9, 1}, {0.5, 0.5}} {
		w := &workload{name: `a<b>&"c"`}
		for n, s := range times {
			w.impls = append(w.impls, &impl{name: string(rune('a' + n)), runs: map[string][]float64{perOp: {s}}})
		}
		d := xml.NewDecoder(strings.NewReader(chart(w)))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("times %v: %v", times, err)
			}
		}
	}
}

func TestBadInput(t *testing.T) {
	write := func(text string) string {
		name := filepath.Join(t.TempDir(), "bench.txt")
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, c := range []struct {
		name  string
		files []string
		want  string
	}{
		{"no files", nil, "no files given"},
		{"absent", []string{filepath.Join(t.TempDir(), "none.txt")}, "no such file"},
		{"nothing in it", []string{write("PASS\n")}, "no benchmark has a part impl=NAME"},
		{"cut short", []string{write("BenchmarkA/impl=x 1 1 ns/op\nBenchmarkA/impl=y 1 1 ns/op\nBenchmarkA/impl=x 1 1 ns/op\n")}, "2 passes and impl=y has 1"},
		{"damaged", []string{write("BenchmarkA/impl=x 1 what ns/op\n")}, "bench.txt:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := run(t.TempDir(), c.files); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want something with %q", err, c.want)
			}
		})
	}
}
