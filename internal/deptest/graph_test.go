package deptest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/stratacache/strata"

// pkg is what go list tells of one package.
type pkg struct {
	ImportPath string
	Imports    []string // of the package itself, without its tests
	Standard   bool
}

// graph maps import paths to packages.
type graph map[string]*pkg

// load reads the import graph of the whole module, dependencies included.
func load(t *testing.T) graph {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,Standard", "./...")
	cmd.Dir = "../.." // the root of the module
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g := graph{}
	for dec := json.NewDecoder(out); ; {
		p := &pkg{}
		err := dec.Decode(p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("output of go list: %v\n%s", err, &stderr)
		}
		g[p.ImportPath] = p
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	return g
}

// path returns a chain of imports from one package to the first package for
// which bad holds, and nil if there is none.
func (g graph) path(from string, bad func(string) bool) []string {
	type step struct {
		pkg  string
		from *step
	}
	seen := map[string]bool{from: true}
	for queue := []*step{{pkg: from}}; len(queue) > 0; queue = queue[1:] {
		s := queue[0]
		if bad(s.pkg) {
			var p []string
			for ; s != nil; s = s.from {
				p = append([]string{s.pkg}, p...)
			}
			return p
		}
		for _, next := range g[s.pkg].imports() {
			if !seen[next] {
				seen[next] = true
				queue = append(queue, &step{next, s})
			}
		}
	}
	return nil
}

func (p *pkg) imports() []string {
	if p == nil || p.Standard {
		return nil
	}
	return p.Imports
}

// ours returns the packages of the module by their path below it; the packages
// that only tests import are not among them.
func (g graph) ours() map[string]*pkg {
	m := map[string]*pkg{}
	for path, p := range g {
		if rel, ok := strings.CutPrefix(path, module+"/"); ok {
			m[rel] = p
		}
	}
	return m
}

// under reports whether the path is one of the folders or lies below one.
func under(path string, folders ...string) bool {
	for _, f := range folders {
		if path == f || strings.HasPrefix(path, f+"/") {
			return true
		}
	}
	return false
}
