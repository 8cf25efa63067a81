package deptest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// link matches the target of a Markdown link or image.
var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestLinks checks that every relative link in the documents leads to a file:
// the documents name the files that do the work, and must follow them when they
// move.
func TestLinks(t *testing.T) {
	const root = "../.."
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && file != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if filepath.Ext(file) != ".md" {
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, target := range relative(string(text)) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), target)); err != nil {
				t.Errorf("%s: dead link to %s", file, target)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// relative returns the targets of a document's links that are files.
func relative(markdown string) []string {
	var targets []string
	for _, m := range link.FindAllStringSubmatch(markdown, -1) {
		target, _, _ := strings.Cut(m[1], "#")
		if target != "" && !strings.Contains(target, "://") && !strings.HasPrefix(target, "mailto:") {
			targets = append(targets, target)
		}
	}
	return targets
}

func TestRelative(t *testing.T) {
	got := relative("[a](x/y.go) [b](https://example.org/z) [c](#top) ![d](p.png#q) [e](mailto:a@b)")
	if strings.Join(got, " ") != "x/y.go p.png" {
		t.Errorf("relative links = %q", got)
	}
}

// TestDecisionsAreIndexed checks that every decision is in the list of them.
func TestDecisionsAreIndexed(t *testing.T) {
	const dir = "../../docs/decisions"
	index, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "[0-9]*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if !strings.Contains(string(index), "("+filepath.Base(p)+")") {
			t.Errorf("%s is not in %s/README.md", filepath.Base(p), dir)
		}
	}
}
