// Package pythontest runs Python for tests.
//
// The interpreter is the one that STRATA_PYTHON names, else the first of
// /usr/bin/python3, which has what the distribution installs, and python3 in PATH
// that has the modules a test needs. Without one the test is skipped with a
// message that says what to install; with STRATA_REQUIRE_PYTHON=1 it fails
// instead, so that a build server cannot skip it unnoticed.
package pythontest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Interpreter returns the path of a Python that can import modules. Without one
// it skips the test, or fails it where STRATA_REQUIRE_PYTHON=1.
func Interpreter(t testing.TB, modules ...string) string {
	t.Helper()
	path, err := Find(modules...)
	if err == nil {
		return path
	}
	hint := fmt.Sprintf("%v; on Debian and Ubuntu: apt-get install python3-redis python3-pandas", err)
	if os.Getenv("STRATA_REQUIRE_PYTHON") == "1" {
		t.Fatal("STRATA_REQUIRE_PYTHON=1, but " + hint)
	}
	t.Skip("skipped, for " + hint)
	return ""
}

// Find returns the path of a Python that can import modules.
func Find(modules ...string) (string, error) {
	candidates := []string{"/usr/bin/python3", "python3"}
	if name := os.Getenv("STRATA_PYTHON"); name != "" {
		candidates = []string{name}
	}
	var last error
	for _, name := range candidates {
		path, err := exec.LookPath(name)
		if err != nil {
			last = err
			continue
		}
		out, err := exec.Command(path, "-c", "import sys, "+strings.Join(modules, ", ")).CombinedOutput()
		if err == nil {
			return path, nil
		}
		last = fmt.Errorf("%s: %s", path, lastLine(out))
	}
	return "", fmt.Errorf("there is no Python with %s (%w)", strings.Join(modules, " and "), last)
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// Run runs python with the arguments and stdin, and returns what it prints. The
// test fails with what Python says where it fails.
func Run(t testing.TB, python, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command(python, args...)
	cmd.Env = append(os.Environ(), "PYTHONIOENCODING=utf-8", "PYTHONDONTWRITEBYTECODE=1")
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", python, err, &out, &errs)
	}
	return out.String()
}
