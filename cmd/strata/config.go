package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/stratacache/strata/config"
)

func (a *app) configCommand() *cobra.Command {
	force := false
	initial := &cobra.Command{
		Use: "init [FILE]", Short: "Write a configuration with every setting explained",
		Long: "Write a configuration with every setting explained to FILE, to that of --config,\nor else to strata.yaml; for \"-\" to standard output. All settings are commented\nout.",
		Args: between(0, 1, "one FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			path := or(a.configPath, "strata.yaml")
			if len(args) > 0 {
				path = args[0]
			}
			return a.configInit(path, force)
		},
	}
	initial.Flags().BoolVar(&force, "force", false, "replace the file if it is there")
	show := &cobra.Command{
		Use: "show", Short: "Print the settings in force, and where each came from",
		Args: between(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error { return a.configShow() },
	}
	schema := &cobra.Command{
		Use: "schema", Short: "Print a JSON Schema of strata.yaml, for editors",
		Long: "Print a JSON Schema of strata.yaml, by which an editor completes and checks it.\nWith the YAML language server, begin the file with\n# yaml-language-server: $schema=strata.schema.json",
		Args: between(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			b, err := config.Schema()
			if err == nil {
				_, err = fmt.Fprintf(a.out, "%s\n", b)
			}
			return fail(err)
		},
	}
	return group("config", "Write and show configurations", initial, show, schema)
}

func (a *app) configInit(path string, force bool) error {
	if path == "-" {
		_, err := a.out.Write(config.Sample())
		return fail(err)
	}
	mode := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		mode = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, mode, 0o600) // it may come to hold a password
	if errors.Is(err, os.ErrExist) {
		return fail(fmt.Errorf("%s is there already: give --force to replace it", path))
	}
	if err != nil {
		return fail(err)
	}
	_, err = f.Write(config.Sample())
	if err := errors.Join(err, f.Close()); err != nil {
		return fail(err)
	}
	_, err = fmt.Fprintf(a.out, "wrote %s\n", path)
	return fail(err)
}

// settingInfo is a setting in JSON.
type settingInfo struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
}

type shown struct {
	File     string        `json:"file"`
	Settings []settingInfo `json:"settings"`
	Rules    []ruleInfo    `json:"rules"`
}

func (a *app) configShow() error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	res := shown{File: cfg.Path, Settings: []settingInfo{}, Rules: []ruleInfo{}}
	rows := [][]string{{"SETTING", "VALUE", "FROM"}}
	for _, v := range cfg.Values() {
		from := v.Origin
		if from == "STRATA_DISK_DIR" && a.dir != "" {
			from = "--dir"
		}
		res.Settings = append(res.Settings, settingInfo{v.Path, v.Text, from})
		rows = append(rows, []string{v.Path, or(v.Text, "-"), from})
	}
	for _, r := range cfg.Policy.Rules() {
		res.Rules = append(res.Rules, describe(r))
	}
	if a.json {
		return a.printJSON(res)
	}
	fmt.Fprintf(a.out, "file: %s\n\n", or(cfg.Path, "none"))
	if err := a.table(rows); err != nil || len(res.Rules) == 0 {
		return err
	}
	fmt.Fprintln(a.out)
	return a.table(ruleTable(cfg.Policy.Rules()))
}
