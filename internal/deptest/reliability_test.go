package deptest

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var (
	namedTest = regexp.MustCompile("`([a-z]+)\\.((?:Test|Fuzz)\\w+)`")
	funcTest  = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
)

// TestReliabilityNamesTests checks that every test which docs/reliability.md
// names exists: a promise whose test has gone is a promise no longer kept.
func TestReliabilityNamesTests(t *testing.T) {
	const root = "../.."
	have := map[string]bool{}
	for _, pattern := range []string{"*/*_test.go", "*/*/*_test.go", "*/*/*/*_test.go", "*/*/*/*/*_test.go"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range funcTest.FindAllStringSubmatch(string(text), -1) {
				have[filepath.Base(filepath.Dir(file))+"."+m[1]] = true
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "reliability.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := namedTest.FindAllStringSubmatch(string(text), -1)
	if len(named) < 80 {
		t.Errorf("docs/reliability.md names %d tests; the pattern that finds them is wrong", len(named))
	}
	for _, m := range named {
		if name := m[1] + "." + m[2]; !have[name] {
			t.Errorf("docs/reliability.md names %s, which does not exist", name)
		}
	}
}
