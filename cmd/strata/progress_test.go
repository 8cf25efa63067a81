package main

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestBar(t *testing.T) {
	for _, c := range []struct {
		want        string
		done, total int64
		took        time.Duration
		unit        func(int64) string
	}{
		{"verify  [============            ]  50%  1.0 KiB of 2.0 KiB  512 B/s  2s left", 1024, 2048, 2 * time.Second, size},
		{"verify  [                        ]   0%  0 of 10  0/s  ? left", 0, 10, time.Second, amount},
		{"verify  [========================] 100%  20 of 10  20/s  0s left", 20, 10, time.Second, amount},
		{"verify  5  5/s", 5, 0, time.Second, amount},
		{"verify  [======                  ]  25%  1 of 4  0/s  1m30s left", 1, 4, 30 * time.Second, amount},
	} {
		if got := bar("verify", c.done, c.total, c.took, c.unit); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// lockedText is a writer that two goroutines may use.
type lockedText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w lockedText
		p := newProgress(&w, "export", 4, amount, time.Second)
		p.add(1)
		time.Sleep(1500 * time.Millisecond)
		p.set(3, 4)
		time.Sleep(time.Second)
		p.end()
		p.end()
		if got := w.b.String(); !strings.Contains(got, " 25%  1 of 4") || !strings.Contains(got, " 75%  3 of 4") || !strings.HasSuffix(got, "\r\x1b[K") {
			t.Errorf("%q", got)
		}
	})
	// Where errors are no terminal there is none, and it may be used all the same.
	p := (&app{err: &lockedText{}}).begin("x", 1, amount)
	if p.add(1); p != nil {
		t.Error("there is a bar without a terminal")
	}
	p.end()
}
