package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
)

// drawEvery is how often a progress bar is drawn.
const drawEvery = 200 * time.Millisecond

// progress is a bar with rate and remaining time on the last line of a terminal.
// A nil one does nothing, and so does one of which total is 0 until it is known.
// It is safe for concurrent use.
type progress struct {
	w     io.Writer
	what  string
	unit  func(int64) string
	began time.Time
	stop  chan struct{}
	ended sync.WaitGroup

	mu          sync.Mutex
	done, total int64
}

// begin shows how far something long has come, if errors go to a terminal and
// results are for people. unit writes amounts: size or amount.
func (a *app) begin(what string, total int64, unit func(int64) string) *progress {
	if f, ok := a.err.(*os.File); a.json || !ok || !isatty.IsTerminal(f.Fd()) {
		return nil
	}
	return newProgress(a.err, what, total, unit, drawEvery)
}

func newProgress(w io.Writer, what string, total int64, unit func(int64) string, every time.Duration) *progress {
	p := &progress{w: w, what: what, unit: unit, began: time.Now(), stop: make(chan struct{}), total: total}
	p.ended.Go(func() {
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				p.draw(time.Now())
			case <-p.stop:
				_, _ = fmt.Fprint(p.w, "\r\x1b[K") // the line is the result's again
				return
			}
		}
	})
	return p
}

// add notes that n more are done.
func (p *progress) add(n int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	p.done += n
	p.mu.Unlock()
}

// set notes how much is done, and of how much.
func (p *progress) set(done, total int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	p.done, p.total = done, total
	p.mu.Unlock()
}

// end removes the bar. It may be called twice.
func (p *progress) end() {
	if p == nil {
		return
	}
	p.mu.Lock()
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	p.mu.Unlock()
	p.ended.Wait()
}

func (p *progress) draw(now time.Time) {
	p.mu.Lock()
	done, total := p.done, p.total
	p.mu.Unlock()
	_, _ = fmt.Fprintf(p.w, "\r%s\x1b[K", bar(p.what, done, total, now.Sub(p.began), p.unit))
}

// barWidth is the length of the bar itself.
const barWidth = 24

// bar is the line of a progress bar.
func bar(what string, done, total int64, took time.Duration, unit func(int64) string) string {
	rate := 0.0
	if took > 0 {
		rate = float64(done) / took.Seconds()
	}
	if total <= 0 {
		return fmt.Sprintf("%s  %s  %s/s", what, unit(done), unit(int64(rate)))
	}
	part := min(float64(done)/float64(total), 1)
	full := int(part * barWidth)
	left := "?"
	if rate > 0 {
		left = span(time.Duration(float64(total-min(done, total)) / rate * float64(time.Second)).Round(time.Second))
	}
	return fmt.Sprintf("%s  [%s%s] %3.0f%%  %s of %s  %s/s  %s left", what,
		strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), 100*part, unit(done), unit(total), unit(int64(rate)), left)
}

// amount writes a number of things.
func amount(n int64) string { return fmt.Sprint(n) }
