// Marketdata is a stock-market service's data fetcher on strata: memory, then
// Redis if configured, then Parquet files, then the API. It prefetches a year of
// prices of 31 companies, answers what the service's workers ask, and shows
// where each answer came from.
//
//	go run ./examples/marketdata --dir /tmp/marketdata
//
// See README.md beside this file.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/redis/go-redis/v9/logging"

	"github.com/stratacache/strata/store/redisstore"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	// The client writes a line for each failed dial; the tier's errors say it too.
	logging.Disable()
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "marketdata:", err)
		stop()
		os.Exit(1)
	}
}

// run is the program: it prints its result on stdout and all else on stderr.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("marketdata", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dir := flags.String("dir", filepath.Join(os.TempDir(), "strata-marketdata"), "keep the data in this `folder`")
	asJSON := flags.Bool("json", false, "print one JSON object and nothing else on stdout")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return errors.New("see above") // the flag set has said what is wrong
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	shared, err := redisstore.ConfigFromEnv(getenv)
	if err != nil {
		return err
	}
	api, err := newAPI(callDelay)
	if err != nil {
		return err
	}
	s := &service{
		dir: *dir, redis: shared, api: api,
		log: slog.New(slog.NewTextHandler(stderr, nil)),
	}
	if *asJSON {
		return s.measure(ctx, stdout)
	}
	return s.show(ctx, stdout)
}
