package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratacache/strata/config"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore"
)

func (a *app) doctorCommand() *cobra.Command {
	return withTimeout(&cobra.Command{
		Use: "doctor", Short: "Check that a configuration can work on this machine",
		Long: "Check the configuration, whether Redis answers and tells the same time, whether\nthe directories can be written, and the limits of the process. The exit code is 1\nif something is wrong; a warning is not.",
		Args: between(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd) },
	})
}

// finding is what came of one check.
type finding struct {
	Check  string `json:"check"`
	State  string `json:"state"` // ok, warning or wrong
	Detail string `json:"detail"`
}

// The states of a finding.
const (
	stateOK      = "ok"
	stateWarning = "warning"
	stateWrong   = "wrong"
)

func (a *app) doctor(cmd *cobra.Command) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	timeout, err := cmd.Flags().GetDuration("timeout")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
	defer cancel()
	found := []finding{{"configuration", stateOK, fmt.Sprintf("%s, %d rules", or(cfg.Path, "no file"), len(cfg.Policy.Rules()))}}
	found = append(found, checkRedis(ctx, cfg)...)
	found = append(found, checkDirectories(cfg)...)
	found = append(found, checkLimits(cfg), checkServer(cfg))
	wrong := 0
	rows := [][]string{{"CHECK", "STATE", "DETAIL"}}
	for _, f := range found {
		if f.State == stateWrong {
			wrong++
		}
		rows = append(rows, []string{f.Check, f.State, f.Detail})
	}
	if a.json {
		err = a.printJSON(found)
	} else {
		err = a.table(rows)
	}
	if err == nil && wrong > 0 {
		err = fail(fmt.Errorf("%d of %d checks found something wrong", wrong, len(found)))
	}
	return err
}

// maxSkew is how far clocks may be apart: deadlines are absolute.
const maxSkew = 2 * time.Second

// checkRedis asks the server for its time, with nothing else in the way.
func checkRedis(ctx context.Context, cfg *config.Config) []finding {
	r := &cfg.Tiers.Redis
	if !r.Configured() {
		return []finding{{"redis", stateOK, "none is configured"}}
	}
	c, err := r.Client()
	if err != nil {
		return []finding{{"redis", stateWrong, oneLine(err.Error())}}
	}
	defer func() { _ = c.Close() }()
	began := time.Now()
	now, err := c.Time(ctx).Result()
	if err != nil {
		return []finding{{"redis", stateWrong, oneLine(advised(&store.Error{Op: "time", Tier: "redis", Err: err}))}}
	}
	took := time.Since(began)
	found := []finding{{"redis", stateOK, "answers in " + took.Round(time.Microsecond).String()}}
	skew := now.Sub(began.Add(took / 2))
	f := finding{"clock", stateOK, "that of Redis differs by " + skew.Abs().Round(time.Millisecond).String()}
	if skew.Abs() > maxSkew+took {
		f.State, f.Detail = stateWarning, f.Detail+": values expire that much too early or late; run a time service on both machines"
	}
	return append(found, f)
}

// checkDirectories looks at the disk tier's directory and the journal's.
func checkDirectories(cfg *config.Config) []finding {
	var found []finding
	if d := &cfg.Tiers.Disk; d.Configured() {
		f := finding{"disk", stateOK, d.Dir + " can be written"}
		s, err := diskstore.Open(d.Dir, &diskstore.Options{ReadOnly: true})
		switch {
		case errors.Is(err, os.ErrNotExist):
			f.Detail = d.Dir + " will be made"
		case err != nil && !errors.Is(err, store.ErrLocked):
			f.State, f.Detail = stateWrong, oneLine(err.Error())
		case err == nil:
			_ = s.Close()
		}
		if err := writable(d.Dir); err != nil {
			f.State, f.Detail = stateWrong, oneLine(err.Error())
		}
		found = append(found, f)
	}
	if dir := cfg.Chain.Journal; dir != "" {
		f := finding{"journal", stateOK, dir + " can be written"}
		if err := writable(dir); err != nil {
			f.State, f.Detail = stateWrong, oneLine(err.Error())
		}
		found = append(found, f)
	}
	return found
}

// writable reports why a file cannot be made in dir, or, where dir is yet to be
// made, in the first directory above it that is there.
func writable(dir string) error {
	for {
		info, err := os.Stat(dir)
		switch {
		case err == nil && !info.IsDir():
			return fmt.Errorf("%s is not a directory", dir)
		case err == nil:
			f, err := os.CreateTemp(dir, ".strata-doctor-*")
			if err != nil {
				return err
			}
			return errors.Join(f.Close(), os.Remove(f.Name()))
		case !errors.Is(err, os.ErrNotExist) || filepath.Dir(dir) == dir:
			return err
		}
		dir = filepath.Dir(dir)
	}
}

// checkServer says what is unsafe about where `strata serve` would listen.
func checkServer(cfg *config.Config) finding {
	s := &cfg.Server
	f := finding{"server", stateOK, "listens on " + s.Addr}
	if !loopback(s.Addr) && s.Password == "" && s.TLSClientCA == "" {
		f.State, f.Detail = stateWarning, s.Addr+" is more than loopback, and there is no server.password"
	}
	return f
}

// loopback reports whether an address to listen on is reachable from this machine
// only.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
