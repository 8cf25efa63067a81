package main

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/policy"
)

// TestREADME checks that the example in the README is this program, so that what
// is printed there compiles and runs.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```go\n"+string(program)+"```\n") {
		t.Error("README.md does not contain examples/quickstart/main.go as it is")
	}
	if n := strings.Count(string(program), "\n"); n > 30 {
		t.Errorf("the example has %d lines; what a newcomer reads first has 30 at most", n)
	}
}

// policyRow matches a line of the README's table of rules: keys, class, TTL.
var policyRow = regexp.MustCompile("(?m)^\\| (`.*`) \\| (hot|warm|cold) \\| (\\d+) (min|h) \\|$")

// TestPolicyTable checks the README's table of rules against the rules.
func TestPolicyTable(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	rules, listed := policy.MarketData(), 0
	for _, row := range policyRow.FindAllStringSubmatch(string(readme), -1) {
		ttl, err := time.ParseDuration(row[3] + row[4][:1])
		if err != nil {
			t.Fatal(err)
		}
		for _, keys := range strings.Split(row[1], ", ") {
			listed++
			pattern := strings.Trim(keys, "`")
			i := slices.IndexFunc(rules.Rules(), func(r *policy.Rule) bool { return r.Keys.String() == pattern })
			if i < 0 {
				t.Errorf("no rule for %s", pattern)
				continue
			}
			if r := rules.Rules()[i]; r.Class != row[2] || r.TTL != ttl {
				t.Errorf("%s: README says %s and %v, the rule %s and %v", pattern, row[2], ttl, r.Class, r.TTL)
			}
		}
	}
	if n := len(rules.Rules()); listed != n {
		t.Errorf("README lists %d rules of %d", listed, n)
	}
}

// The second run on the same folder answers without the API.
func TestRun(t *testing.T) {
	t.Chdir(t.TempDir())
	for i, want := range []string{"asking the API\nAAPL: 169.23 <nil>\n", "AAPL: 169.23 <nil>\n"} {
		if got := stdout(t, main); got != want {
			t.Errorf("run %d printed %q, want %q", i+1, got, want)
		}
	}
}

// stdout returns what f prints.
func stdout(t *testing.T, f func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stdout
	os.Stdout = w
	f()
	os.Stdout = old
	_ = w.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
