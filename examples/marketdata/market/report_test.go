package market

import (
	"strings"
	"testing"
	"time"
)

func TestWriteTable(t *testing.T) {
	var b strings.Builder
	err := writeTable(&b, "Title", []line{
		{"prices", 3, map[string]int{"memory": 1, "disk": 2}, 0, []time.Duration{1234567, 2 * time.Second}},
		{"infos", 2, map[string]int{loaded: 2}, 2, nil},
	}, []string{"memory", "disk"})
	if err != nil {
		t.Fatal(err)
	}
	var got [][]string
	for l := range strings.Lines(b.String()) {
		if f := strings.Fields(l); len(f) > 0 {
			got = append(got, f)
		}
	}
	want := []string{
		"Title",
		"answers memory disk loaded API calls median slowest",
		"prices 3 1 2 0 0 2s 2s",
		"infos 2 0 0 2 2",
		"all 5 1 2 2 2",
	}
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(got), len(want), &b)
	}
	for i, w := range want {
		if g := strings.Join(got[i], " "); g != w {
			t.Errorf("line %d = %q, want %q", i, g, w)
		}
	}
}

func TestRound(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 999: "999ns", 1234: "1.23µs", 20_987_654: "21ms", 1_234_567_890: "1.23s",
	} {
		if got := round(d).String(); got != want {
			t.Errorf("round(%d ns) = %s, want %s", d, got, want)
		}
	}
}

func TestWriteFindingsOfNothing(t *testing.T) {
	var b strings.Builder
	if err := writeFindings(&b, nil, nil); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "0 companies") {
		t.Errorf("findings = %s", &b)
	}
}
