// Package market is what the example program and "strata demo" run: a stock-market
// service's data fetcher on strata, and an API that stands for a slow one. Begin to
// read at Fetcher.
package market

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/stratacache/strata/store/redisstore"
)

// Options are the settings of a run.
type Options struct {
	Dir  string    // of the data
	JSON bool      // print one JSON object and nothing else
	Log  io.Writer // of what goes wrong
	// Getenv tells where Redis is, by REDIS_HOST and so on.
	Getenv func(string) string
}

// Run asks all that the service's workers ask, and prints where the answers came
// from.
func Run(ctx context.Context, o *Options, out io.Writer) error {
	shared, err := redisstore.ConfigFromEnv(o.Getenv)
	if err != nil {
		return err
	}
	api, err := newAPI(callDelay)
	if err != nil {
		return err
	}
	s := &service{dir: o.Dir, redis: shared, api: api, log: slog.New(slog.NewTextHandler(o.Log, nil))}
	if o.JSON {
		return s.measure(ctx, out)
	}
	return s.show(ctx, out)
}

// Main is Run by a command line: it prints its result on stdout and all else on
// stderr.
func Main(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("marketdata", flag.ContinueOnError)
	flags.SetOutput(stderr)
	o := &Options{Log: stderr, Getenv: getenv}
	flags.StringVar(&o.Dir, "dir", filepath.Join(os.TempDir(), "strata-marketdata"), "keep the data in this `folder`")
	flags.BoolVar(&o.JSON, "json", false, "print one JSON object and nothing else on stdout")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return errors.New("see above") // the flag set has said what is wrong
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	return Run(ctx, o, stdout)
}
