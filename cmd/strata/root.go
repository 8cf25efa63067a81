package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/config"
)

func (a *app) root() *cobra.Command {
	c := &cobra.Command{
		Use:   "strata",
		Short: "Look into caches, and check what governs them",
		Long: `strata looks into the tiers of a cache hierarchy: a disk directory, Redis, or
both, as a strata.yaml and the environment describe them.

Exit codes: 0 fine; 1 something failed; 2 the command line or the configuration
is wrong; 3 there is no such key or rule.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("there is no command %q", args[0])
			}
			return cmd.Help()
		},
	}
	f := c.PersistentFlags()
	f.StringVar(&a.configPath, "config", "", "configuration `file` (default $STRATA_CONFIG, else ./strata.yaml if it is there)")
	f.StringVar(&a.dir, "dir", "", "`directory` of the disk tier")
	f.BoolVar(&a.json, "json", false, "print JSON")
	c.AddCommand(a.serveCommand(), a.policyCommand(), a.configCommand(), a.getCommand(), a.setCommand(), a.delCommand(),
		a.scanCommand(), a.ttlCommand(), a.topCommand(), a.explainCommand(), a.tagsCommand(), a.statsCommand(), a.diskCommand(), a.benchCommand(), a.demoCommand(), a.doctorCommand(), a.versionCommand())
	return c
}

// addCompletion adds cobra's command of that name, which writes to root's output as
// it is now.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			onlyGroup(c)
		}
	}
}

// group makes a command that only has subcommands.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short}
	onlyGroup(c)
	c.AddCommand(subs...)
	return c
}

// onlyGroup has a command refuse what is none of its subcommands.
func onlyGroup(c *cobra.Command) {
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("there is no command \"%s %s\"", cmd.CommandPath(), args[0])
		}
		return cmd.Help()
	}
}

// between returns a check of the number of arguments that says what they are.
func between(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return fmt.Errorf("%s needs %s", cmd.CommandPath(), what)
		case most >= 0 && len(args) > most:
			only := "only "
			if most == 0 {
				only = ""
			}
			return fmt.Errorf("%s takes %s%s", cmd.CommandPath(), only, what)
		}
		return nil
	}
}

// file returns the configuration file to read; empty is none.
func (a *app) file() string {
	if a.configPath != "" {
		return a.configPath
	}
	if p, ok := a.env("STRATA_CONFIG"); ok && p != "" {
		return p
	}
	if _, err := os.Stat("strata.yaml"); err == nil {
		return "strata.yaml"
	}
	return ""
}

// load reads the configuration, with --dir in it.
func (a *app) load() (*config.Config, error) {
	cfg, err := config.Load(a.file(), func(name string) (string, bool) {
		if name == "STRATA_DISK_DIR" && a.dir != "" {
			return a.dir, true
		}
		return a.env(name)
	})
	if err != nil {
		return nil, &failure{exitUsage, err}
	}
	return cfg, nil
}

// session is a chain for the time of one command.
type session struct {
	*chain.Chain
	cfg    *config.Config
	ctx    context.Context
	faults *faults
	cancel context.CancelFunc
}

// open builds the chain. With write unset, a directory is opened beside the
// process that may be writing it.
func (a *app) open(cmd *cobra.Command, write bool) (*session, error) {
	cfg, err := a.load()
	if err != nil {
		return nil, err
	}
	if !cfg.Tiers.Redis.Configured() && !cfg.Tiers.Disk.Configured() {
		return nil, usage("there is nothing to look into: name a directory with --dir, or tiers with --config")
	}
	if d := &cfg.Tiers.Disk; d.Configured() && !write {
		if _, err := os.Stat(d.Dir); err != nil {
			return nil, fail(fmt.Errorf("no cache at %s: %w", d.Dir, errors.Unwrap(err)))
		}
		d.ReadOnly = true
	}
	timeout, err := cmd.Flags().GetDuration("timeout")
	if err != nil {
		return nil, err
	}
	cfg.Tiers.Memory.Capacity = 4 << 20 // a command is over before memory helps
	cfg.Tiers.Memory.MaxEntry = 0
	cfg.Chain.TierTimeout = timeout
	cfg.IgnoreJournal = true         // a command waits until its writes are in the tiers
	cfg.Tiers.Redis.Feed = write     // who only reads has no news, and holds nothing that could get old
	cfg.Tiers.Redis.Tracking = false // nor does who only writes
	s := &session{cfg: cfg, faults: &faults{}}
	cfg.OnError = s.faults.add
	s.ctx, s.cancel = context.WithTimeout(cmd.Context(), timeout)
	if s.Chain, err = cfg.Build(s.ctx); err != nil {
		s.cancel()
		return nil, fail(err)
	}
	return s, nil
}

// with runs f on a session, and closes it.
func (a *app) with(cmd *cobra.Command, write bool, f func(*session) error) error {
	s, err := a.open(cmd, write)
	if err != nil {
		return err
	}
	defer s.cancel()
	err = f(s)
	if closed := s.Close(s.ctx); write && err == nil {
		err = fail(closed) // of what was only read there is nothing to lose
	}
	return err
}

func withTimeout(c *cobra.Command) *cobra.Command {
	c.Flags().Duration("timeout", 10*time.Second, "how long to wait for the tiers")
	return c
}

// oneLine makes a message fit on a line.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
