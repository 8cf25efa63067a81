package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
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
}

// The second run on the same folder answers without the API.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	for i, want := range []string{"asking the API\nAAPL: 169.23\n", "AAPL: 169.23\n"} {
		if got := stdout(t, func() error { return run(context.Background(), dir) }); got != want {
			t.Errorf("run %d printed %q, want %q", i+1, got, want)
		}
	}
}

// stdout returns what f prints.
func stdout(t *testing.T, f func() error) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stdout
	os.Stdout = w
	err = f()
	os.Stdout = old
	_ = w.Close()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := io.Copy(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
