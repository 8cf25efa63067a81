package pythontest_test

import (
	"strings"
	"testing"

	"github.com/stratacache/strata/internal/pythontest"
)

func TestFind(t *testing.T) {
	if _, err := pythontest.Find("no_such_module"); err == nil || !strings.Contains(err.Error(), "no_such_module") {
		t.Errorf("Find: %v", err)
	}
	t.Setenv("STRATA_PYTHON", "no-such-program")
	if _, err := pythontest.Find("sys"); err == nil {
		t.Error("STRATA_PYTHON is not obeyed")
	}
}

func TestRun(t *testing.T) {
	python := pythontest.Interpreter(t, "sys")
	if got := pythontest.Run(t, python, "é", "-c", "import sys; print(sys.stdin.read(), sys.argv[1])", "x"); got != "é x\n" {
		t.Errorf("%q", got)
	}
}
