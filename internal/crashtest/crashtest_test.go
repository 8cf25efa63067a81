package crashtest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stratacache/strata/store"
)

// done carries out the first n operations of each writer.
func done(n int) map[string]string {
	m := map[string]string{}
	for w := range writers {
		for i := range n {
			key, value := op(w, i)
			m[key] = value
		}
	}
	return m
}

func reading(m map[string]string) func(string) (string, error) {
	return func(key string) (string, error) {
		if m[key] == "" {
			return "", store.ErrNotFound
		}
		return m[key], nil
	}
}

func TestFollowAndCheck(t *testing.T) {
	var a Acked
	begun := 0
	out := ""
	for i := range 100 {
		for w := range writers {
			out += fmt.Sprintf("%d %d\n", w, i)
		}
	}
	if err := a.Follow(strings.NewReader(out), func() { begun++ }); err != nil || begun != 1 || a.String() != "100,100,100,100" {
		t.Fatalf("%v, begun %d times, %s", err, begun, &a)
	}
	if lost, err := a.Check(reading(done(100))); err != nil || len(lost) > 0 {
		t.Errorf("what was acknowledged is there: %v, %v", lost, err)
	}
	if lost, err := a.Check(reading(done(101))); err != nil || len(lost) > 0 {
		t.Errorf("and one operation more: %v, %v", lost, err)
	}
	if !strings.Contains(a.String(), "101") { // a delete of nothing is not seen
		t.Errorf("what has happened does not count: %s", &a)
	}
	if lost, _ := a.Check(reading(done(90))); len(lost) == 0 {
		t.Error("ten lost operations are not noticed")
	}
	if lost, _ := a.Check(reading(done(120))); len(lost) == 0 {
		t.Error("values that nobody can have written are not noticed")
	}
	if _, err := a.Check(func(string) (string, error) { return "", store.ErrCorrupt }); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("an error of the store: %v", err)
	}
}

// What is acknowledged after the cut may have happened, as far as it did in its order.
func TestCut(t *testing.T) {
	lines := func(from, to int) (out string) {
		for i := from; i < to; i++ {
			for w := range writers {
				out += fmt.Sprintf("%d %d\n", w, i)
			}
		}
		return out
	}
	follow := func() *Acked {
		var a Acked
		if err := a.Follow(strings.NewReader(lines(0, 100)), func() {}); err != nil {
			t.Fatal(err)
		}
		a.Cut()
		if err := a.Follow(strings.NewReader(lines(100, 110)), func() {}); err != nil {
			t.Fatal(err)
		}
		return &a
	}
	for n := 100; n <= 111; n++ {
		a := follow()
		if lost, err := a.Check(reading(done(n))); err != nil || len(lost) > 0 {
			t.Errorf("%d operations: %v, %v", n, lost, err)
		}
		if lost, err := a.Check(reading(done(n))); err != nil || len(lost) > 0 {
			t.Errorf("%d operations, looked at again: %v, %v", n, lost, err)
		}
	}
	for _, n := range []int{90, 125} {
		if lost, _ := follow().Check(reading(done(n))); len(lost) == 0 {
			t.Errorf("%d operations pass, of 100 that are certain and 10 that are not", n)
		}
	}
	m := done(110)
	key, _ := op(0, 99)
	m[key] = "of nobody"
	if lost, _ := follow().Check(reading(m)); len(lost) == 0 {
		t.Error("a value of nobody passes")
	}
}

func TestFollowTellsOfFailures(t *testing.T) {
	for out, want := range map[string]string{"": "acknowledged nothing", "0 0\nfailed no disk\n0 1\n": "no disk", "failed early\n": "early"} {
		var a Acked
		if err := a.Follow(strings.NewReader(out), func() {}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", out, err)
		}
	}
}

func TestWriteEndsAtAnError(t *testing.T) {
	var writes, failures int
	Write("7", func(key, value string) error {
		if k, v := op(0, 7); key != k || value != v {
			t.Errorf("it begins with %s=%.10q", key, value)
		}
		writes++
		return errors.New("boom")
	}, func(error) { failures++ })
	Write("x", nil, func(error) { failures++ })
	if writes != 1 || failures != 2 {
		t.Errorf("%d writes, %d failures", writes, failures)
	}
}
