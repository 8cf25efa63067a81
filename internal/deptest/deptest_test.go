package deptest

import (
	"path"
	"strings"
	"testing"
)

// layers says, for each folder of the module, which folders its packages may
// import. The longest folder that matches counts. A folder may import itself.
var layers = map[string][]string{
	"store":            {},
	"store/storetest":  {"store", "internal"},
	"store/faultstore": {"store", "internal"},
	"policy":           {"store", "internal"},
	"marshal":          {"store", "internal"},
	"chain":            {"policy", "marshal", "store", "internal"},
	"notify":           {"store", "internal"},
	"observe":          {"chain", "policy", "store", "internal"},
	"config":           {"chain", "policy", "marshal", "notify", "observe", "store", "internal"},
	"internal":         {"store", "internal"},
	"internal/serve":   {"chain", "policy", "store", "internal"},
	"cmd":              {"config", "chain", "policy", "marshal", "notify", "observe", "store", "internal", "examples/marketdata"},
	"test":             {"chain", "policy", "marshal", "store", "internal"},
	"examples":         {"config", "chain", "policy", "marshal", "notify", "observe", "store", "internal"},
}

// isBackend reports whether a package holds data in an engine: store/*store.
func isBackend(rel string) bool {
	dir, name := path.Split(rel)
	return dir == "store/" && strings.HasSuffix(name, "store") && name != "faultstore"
}

// TestArrowsPointDown checks every import between packages of the module.
func TestArrowsPointDown(t *testing.T) {
	for rel, p := range load(t).ours() {
		folder, allowed := layerOf(rel)
		if folder == "" {
			t.Errorf("%s belongs to no layer: add its folder to the table", rel)
			continue
		}
		for _, imp := range p.Imports {
			to, ok := strings.CutPrefix(imp, module+"/")
			if !ok || under(to, folder) && !isBackend(to) {
				continue
			}
			switch {
			case isBackend(to) && !under(rel, "config", "cmd", "examples") && !under(rel, to):
				t.Errorf("%s imports %s: only config, commands and examples know the backends", rel, to)
			case !under(to, append(allowed, folder)...):
				t.Errorf("%s imports %s: the arrow points up", rel, to)
			}
		}
	}
}

func layerOf(rel string) (folder string, allowed []string) {
	// A backend is a layer of its own, with all that lies below it.
	for dir := rel; dir != "."; dir = path.Dir(dir) {
		if isBackend(dir) {
			return dir, []string{"store", "internal"}
		}
	}
	for f, a := range layers {
		if under(rel, f) && len(f) > len(folder) {
			folder, allowed = f, a
		}
	}
	return folder, allowed
}

// heavy are the libraries that a program links only if it asked for them by
// importing the backend or adapter that needs them.
var heavy = []string{
	"github.com/redis",
	"github.com/eko/gocache",
	"github.com/prometheus",
	"go.opentelemetry.io",
	"github.com/tidwall/redcon",
	"github.com/spf13",
}

// TestLeanBuilds checks what programs link that use only some packages.
func TestLeanBuilds(t *testing.T) {
	g := load(t)
	memory := []string{"github.com/dgraph-io", "github.com/maypok86"}
	parquet := []string{"github.com/parquet-go"}
	tests := []struct {
		pkg       string
		forbidden [][]string
	}{
		{"store", [][]string{heavy, memory, parquet}},
		{"policy", [][]string{heavy, memory, parquet}},
		{"marshal", [][]string{heavy, memory}},
		{"chain", [][]string{heavy, memory}},
		{"store/memstore", [][]string{heavy, parquet, {"github.com/maypok86"}}},
		{"store/otterstore", [][]string{heavy, parquet, {"github.com/dgraph-io"}}},
		{"store/diskstore", [][]string{heavy, memory}},
		// A whole program: memory, disk and the chain.
		{"examples/quickstart", [][]string{heavy}},
	}
	for _, tt := range tests {
		t.Run(tt.pkg, func(t *testing.T) {
			if g[module+"/"+tt.pkg] == nil {
				t.Fatal("no such package")
			}
			for _, list := range tt.forbidden {
				bad := func(p string) bool { return under(p, list...) }
				if p := g.path(module+"/"+tt.pkg, bad); p != nil {
					t.Errorf("must not depend on %s, but does:\n  %s", p[len(p)-1], strings.Join(p, "\n  -> "))
				}
			}
		})
	}
}

// TestStoreIsStandardLibraryOnly: whoever writes a backend needs nothing else.
func TestStoreIsStandardLibraryOnly(t *testing.T) {
	g := load(t)
	foreign := func(p string) bool { return g[p] != nil && !g[p].Standard && p != module+"/store" }
	if p := g.path(module+"/store", foreign); p != nil {
		t.Errorf("store depends on\n  %s", strings.Join(p, "\n  -> "))
	}
}

// TestRulesAreTested: a checker that accepts everything must not pass.
func TestRulesAreTested(t *testing.T) {
	g := graph{
		"a": {ImportPath: "a", Imports: []string{"b", "c"}},
		"b": {ImportPath: "b"},
		"c": {ImportPath: "c", Imports: []string{"github.com/redis/go-redis/v9"}},
	}
	p := g.path("a", func(p string) bool { return under(p, heavy...) })
	if got := strings.Join(p, " "); got != "a c github.com/redis/go-redis/v9" {
		t.Errorf("path = %q", got)
	}
	for rel, want := range map[string]string{
		"store":               "store",
		"store/memstore":      "store/memstore",
		"store/diskstore/a/b": "store/diskstore",
		"store/storetest":     "store/storetest",
		"chain":               "chain",
		"examples/marketdata": "examples",
		"rubbish":             "",
	} {
		if got, _ := layerOf(rel); got != want {
			t.Errorf("layerOf(%q) = %q, want %q", rel, got, want)
		}
	}
}
