package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratacache/strata/internal/serve/inspect"
)

func (a *app) tagsCommand() *cobra.Command {
	prefix := ""
	c := &cobra.Command{
		Use: "tags", Short: "List tags, their keys, and invalidate them",
		Long: "List the tags that values carry, with the number of their keys and the bytes of\ntheir values. It goes through all keys.",
		Args: between(0, 0, "no arguments, or keys or invalidate"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.atServer(cmd, func(r *remote) error {
				var tags []inspect.Tag
				if err := r.strata(&tags, "tags", prefix); err != nil {
					return err
				}
				return a.tags(tags)
			}, func() error {
				return a.with(cmd, false, func(s *session) error {
					tags, err := inspect.Tags(s.ctx, s.Chain, prefix)
					if err = errors.Join(err, s.faults.err()); err != nil {
						return fail(err)
					}
					return a.tags(tags)
				})
			})
		},
	}
	c.Flags().StringVar(&prefix, "prefix", "", "only tags that begin with this `text`")
	c.AddCommand(a.taggedCommand(), a.invalidateCommand())
	return withAddr(withLongTimeout(c))
}

// withLongTimeout is withTimeout for what goes through all keys.
func withLongTimeout(c *cobra.Command) *cobra.Command {
	c.Flags().Duration("timeout", 5*time.Minute, "how long to wait for the tiers")
	return c
}

func (a *app) tags(tags []inspect.Tag) error {
	if a.json {
		return a.printJSON(tags)
	}
	rows := [][]string{{"TAG", "KEYS", "BYTES"}}
	for _, t := range tags {
		rows = append(rows, []string{t.Tag, strconv.FormatInt(t.Keys, 10), size(t.Bytes)})
	}
	return a.table(rows)
}

func (a *app) taggedCommand() *cobra.Command {
	limit := 0
	c := &cobra.Command{
		Use: "keys TAG", Short: "List the keys that carry a tag",
		Long: "List the keys that carry a tag, in no order. It goes through all keys. The exit code\nis 3 if there is none.",
		Args: between(1, 1, "one TAG"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.atServer(cmd, func(r *remote) error {
				var keys []string
				if err := r.strata(&keys, "tagged", args[0], limit); err != nil {
					return err
				}
				return a.tagged(args[0], keys)
			}, func() error {
				return a.with(cmd, false, func(s *session) error {
					keys, err := inspect.Tagged(s.ctx, s.Chain, args[0], limit)
					if err = errors.Join(err, s.faults.err()); err != nil {
						return fail(err)
					}
					return a.tagged(args[0], keys)
				})
			})
		},
	}
	c.Flags().IntVar(&limit, "limit", 0, "stop after so many keys; 0: no limit")
	return withAddr(withLongTimeout(c))
}

func (a *app) tagged(tag string, keys []string) error {
	if a.json {
		if err := a.printJSON(keys); err != nil {
			return err
		}
	} else {
		for _, key := range keys {
			if _, err := fmt.Fprintln(a.out, printable(key)); err != nil {
				return fail(err)
			}
		}
	}
	if len(keys) == 0 {
		return &failure{exitNotFound, fmt.Errorf("no key carries the tag %q", tag)}
	}
	return nil
}

func (a *app) invalidateCommand() *cobra.Command {
	return withAddr(withTimeout(&cobra.Command{
		Use: "invalidate TAG...", Short: "Make all that carries a tag absent",
		Long: "Make every value that carries one of the tags, and was written before, absent in\nevery tier, and in other programs that share one. It costs the same however many\nthere are. A directory must not be in use: where a server has it, use --addr.",
		Args: between(1, -1, "at least one TAG"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.atServer(cmd, func(r *remote) error {
				words := []any{"strata", "invalidate"}
				for _, tag := range args {
					words = append(words, tag)
				}
				return r.refused(r.Do(r.ctx, words...).Err())
			}, func() error {
				return a.with(cmd, true, func(s *session) error {
					if err := s.InvalidateTags(s.ctx, args...); err != nil {
						return fail(err)
					}
					return fail(errors.Join(s.Flush(s.ctx), s.faults.err()))
				})
			})
		},
	}))
}
