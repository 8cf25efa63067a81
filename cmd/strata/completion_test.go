package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestCompletion runs the scripts for bash as an interactive shell would, with the
// test's own program as the command.
func TestCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	s := newShell(t)
	s.write("strata.bash", s.ok("completion", "bash"))
	if err := os.Symlink(os.Args[0], "strata"); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"strata expl":               "explain",
		"strata disk ex":            "export",
		"strata disk export --form": "--format",
		"strata tags inv":           "invalidate",
		"strata get --ad":           "--addr",
		"strata completion ba":      "bash",
	} {
		words := strings.Fields(line)
		script := `source ./strata.bash
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE} COMP_TYPE=9
_get_comp_words_by_ref() { cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD; }
compopt() { :; }
__start_strata
printf '%s\n' "${COMPREPLY[@]}"`
		cmd := exec.Command(bash, append([]string{"--norc", "-c", script, "bash"}, words...)...)
		cmd.Env = append(os.Environ(), "STRATA_TEST_MAIN=1", "PATH=.:"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(strings.TrimSpace(string(out)), want) {
			t.Errorf("%q: %q, %v; want %q", line, out, err, want)
		}
	}
	for _, shell := range []string{"zsh", "fish", "powershell"} {
		if out := s.ok("completion", shell); !strings.Contains(out, "strata") {
			t.Errorf("%s: %.100q", shell, out)
		}
	}
}
