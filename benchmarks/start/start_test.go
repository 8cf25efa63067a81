package start

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stratacache/strata/benchmarks/turns"
)

// BenchmarkStart is one run of examples/marketdata.
func BenchmarkStart(b *testing.B) {
	program := filepath.Join(b.TempDir(), "marketdata")
	build := exec.Command("go", "build", "-o", program, "./examples/marketdata")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	dir, n := b.TempDir(), 0
	run := func(dir string) error {
		out, err := exec.Command(program, "--json", "--dir", dir).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		return nil
	}
	if err := run(dir); err != nil {
		b.Fatal(err)
	}
	turns.Run(b, 1, []turns.Subject{
		{Name: "strata-second-run", Do: turns.Each(func(int) error { return run(dir) }), Limit: 1},
		{Name: "strata-first-run", Do: turns.Each(func(int) error {
			n++
			return run(filepath.Join(b.TempDir(), fmt.Sprint(n)))
		}), Limit: 1},
	})
}
