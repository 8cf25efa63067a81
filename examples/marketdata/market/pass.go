package market

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// line is what one topic came to.
type line struct {
	Topic   string
	Answers int            // keys
	From    map[string]int // answers by where they came from; see sources
	Calls   int64          // of the API
	Took    []time.Duration
}

// pass asks all questions once and returns a line for each topic. It goes on
// after an error, and returns all of them.
func pass(ctx context.Context, f *Fetcher, seen *sources) ([]line, error) {
	var lines []line
	var errs []error
	for _, t := range topics(f.api.Symbols()) {
		before := f.api.Calls()
		l, err := t.ask(ctx, f, seen)
		l.Calls = f.api.Calls() - before
		lines = append(lines, l)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", t.name, err))
		}
	}
	return lines, errors.Join(errs...)
}

// ask asks the questions of a topic, several at once.
func (t *topic) ask(ctx context.Context, f *Fetcher, seen *sources) (line, error) {
	l := line{Topic: t.name, From: map[string]int{}}
	var (
		mu   sync.Mutex
		errs []error
		wg   sync.WaitGroup
		next = make(chan question)
	)
	for range t.together {
		wg.Go(func() {
			for q := range next {
				start := time.Now()
				err := q.ask(ctx, f)
				took := time.Since(start)

				mu.Lock()
				l.Took = append(l.Took, took)
				l.Answers += len(q.keys)
				for _, key := range q.keys {
					l.From[seen.of(key)]++
				}
				if err != nil {
					errs = append(errs, err)
				}
				mu.Unlock()
			}
		})
	}
	for _, q := range t.questions {
		next <- q
	}
	close(next)
	wg.Wait()
	slices.Sort(l.Took)
	return l, errors.Join(errs...)
}
