package market

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/stratacache/strata/store/redisstore"
)

// service is one run of the program on one folder.
type service struct {
	dir   string
	redis *redisstore.Config // nil: none
	api   *API
	log   *slog.Logger
}

// with opens the chain, calls f with a fetcher on it, and closes the chain.
func (s *service) with(ctx context.Context, f func(*Fetcher, *sources) error) (err error) {
	seen := newSources(s.log)
	c, err := openChain(s.dir, s.redis, seen, s.log)
	if err != nil {
		return err
	}
	defer func() {
		// What was acknowledged is on disk already; Close is for the rest.
		err = errors.Join(err, c.Close(context.WithoutCancel(ctx)))
		s.warn(seen)
	}()
	return f(newFetcher(c, s.api), seen)
}

// warn tells of tiers that failed meanwhile: the others answered in their stead.
func (s *service) warn(seen *sources) {
	for tier, err := range seen.failed() {
		s.log.Warn("a tier failed; the others answered in its stead", "tier", tier, "last_error", err)
	}
}

// measure asks everything twice, so that the second time is answered from
// memory, and prints the counts as JSON.
func (s *service) measure(ctx context.Context, out io.Writer) error {
	o := outcome{Dir: s.dir}
	err := s.with(ctx, func(f *Fetcher, seen *sources) error {
		for range 2 {
			if _, err := pass(ctx, f, seen); err != nil {
				return err
			}
		}
		o.Hits.Memory = seen.count("memory")
		o.Hits.Redis = seen.count("redis")
		o.Hits.Disk = seen.count("disk")
		o.Keys = seen.keys()
		return nil
	})
	if err != nil {
		return err
	}
	o.APICalls = s.api.Calls()
	return writeJSON(out, o)
}

// show asks everything twice, opens the folder again as a second run of the
// program would, asks once more, and prints a table each time.
func (s *service) show(ctx context.Context, out io.Writer) error {
	tiers := s.tiers()
	err := s.with(ctx, func(f *Fetcher, seen *sources) error {
		if err := s.introduce(out); err != nil {
			return err
		}
		for _, title := range []string{"First pass", "Second pass, same process"} {
			lines, err := pass(ctx, f, seen)
			if err := errors.Join(err, writeTable(out, title, lines, tiers)); err != nil {
				return err
			}
		}
		return s.findings(ctx, f, out)
	})
	if err != nil {
		return err
	}
	calls := s.api.Calls()
	return s.with(ctx, func(f *Fetcher, seen *sources) error {
		lines, err := pass(ctx, f, seen)
		if err := errors.Join(err, writeTable(out, "What a second run finds: the folder opened again, nothing in memory", lines, tiers)); err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "\nA second run needs %d API calls, this one made %d. Prices are kept for 5 minutes, lists and infos\n"+
			"for 4 hours, history, screenings and backtests for a day. The data is in %s\n",
			s.api.Calls()-calls, calls, s.dir)
		return err
	})
}

// introduce says what the data is and what it lacks.
func (s *service) introduce(out io.Writer) error {
	gaps := s.api.Gaps()
	_, err := fmt.Fprintf(out, "%d companies, every trading day of 2017; an API call takes %v. Tiers: %s.\n"+
		"%d rows of the file lack %d prices: they are kept, with the gaps marked.\n",
		len(s.api.Symbols()), s.api.delay, strings.Join(s.tiers(), ", "), gaps.Rows, gaps.Cells)
	return err
}

// findings prints what the numbers were fetched for.
func (s *service) findings(ctx context.Context, f *Fetcher, out io.Writer) error {
	candidates, err := f.Screening(ctx, lastDay)
	if err != nil {
		return err
	}
	results, err := f.Backtest(ctx)
	if err != nil {
		return err
	}
	return writeFindings(out, candidates, results)
}

// tiers names the tiers in use, nearest first.
func (s *service) tiers() []string {
	names := []string{"memory", "redis", "disk"}
	if s.redis == nil {
		names = slices.DeleteFunc(names, func(n string) bool { return n == "redis" })
	}
	return names
}
