package market

import (
	"context"
	"errors"
	"testing"
)

// A pass goes on after an error, and returns it with the topic's name.
func TestPassGoesOn(t *testing.T) {
	f, seen := newTestFetcher(t)
	if _, err := pass(t.Context(), f, seen); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f, seen = newTestFetcher(t)
	lines, err := pass(ctx, f, seen)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
	if want := len(topics(nil)); len(lines) != want {
		t.Errorf("%d lines, want one for each of %d topics", len(lines), want)
	}
}
