package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
)

// withAddr adds --addr to a command that can ask a running server instead of the
// tiers themselves.
func withAddr(c *cobra.Command) *cobra.Command {
	c.Flags().String("addr", "", "ask the server at this `address` (strata serve, or Redis) instead of opening the tiers")
	return c
}

// remote is a server that a command asks.
type remote struct {
	*redis.Client
	ctx    context.Context
	cancel context.CancelFunc
}

// dial connects to the server of --addr; ok is false without the flag. User and
// password are those of the configuration's server section.
func (a *app) dial(cmd *cobra.Command) (r *remote, ok bool, err error) {
	addr, err := cmd.Flags().GetString("addr")
	if err != nil || addr == "" {
		return nil, false, err
	}
	cfg, err := a.load()
	if err != nil {
		return nil, false, err
	}
	timeout, err := cmd.Flags().GetDuration("timeout")
	if err != nil {
		return nil, false, err
	}
	r = &remote{Client: redis.NewClient(&redis.Options{
		Addr: addr, Username: cfg.Server.User, Password: string(cfg.Server.Password),
		MaxRetries: -1, DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout, ContextTimeoutEnabled: true,
	})}
	r.ctx, r.cancel = context.WithTimeout(cmd.Context(), timeout)
	return r, true, nil
}

func (r *remote) close() {
	r.cancel()
	_ = r.Client.Close()
}

// atServer runs f on the server of --addr, or local without one.
func (a *app) atServer(cmd *cobra.Command, f func(*remote) error, local func() error) error {
	r, ok, err := a.dial(cmd)
	switch {
	case err != nil:
		return err
	case !ok:
		return local()
	}
	defer r.close()
	return f(r)
}

// entry reads a key with its deadline.
func (r *remote) entry(key string) (value []byte, expires time.Time, err error) {
	var get *redis.StringCmd
	var left *redis.DurationCmd
	_, err = r.Pipelined(r.ctx, func(p redis.Pipeliner) error {
		get, left = p.Get(r.ctx, key), p.PTTL(r.ctx, key)
		return nil
	})
	switch {
	case errors.Is(err, redis.Nil):
		return nil, time.Time{}, notThere(key)
	case err != nil:
		return nil, time.Time{}, fail(err)
	}
	if d := left.Val(); d > 0 {
		expires = time.Now().Add(d)
	}
	value, err = get.Bytes()
	return value, expires, fail(err)
}

// strata asks the server's STRATA command, and decodes its answer into to.
func (r *remote) strata(to any, args ...any) error {
	text, err := r.Do(r.ctx, append([]any{"strata"}, args...)...).Text()
	if err != nil {
		return r.refused(err)
	}
	return fail(json.Unmarshal([]byte(text), to))
}

// refused says what to do where the server does not know STRATA.
func (r *remote) refused(err error) error {
	if err != nil && strings.HasPrefix(err.Error(), "ERR unknown ") {
		err = fmt.Errorf("%s is no strata server, or an older one: this needs its STRATA command", r.Options().Addr)
	}
	return fail(err)
}

func notThere(key string) error {
	return &failure{exitNotFound, fmt.Errorf("there is no value under %q", key)}
}

// keys calls f for each key under prefix, at most limit of them unless that is 0.
func (r *remote) keys(prefix string, limit int, f func(key string) error) error {
	n := 0
	for it := r.Scan(r.ctx, 0, escapeGlob(prefix)+"*", 1000).Iterator(); ; n++ {
		if limit > 0 && n == limit || !it.Next(r.ctx) {
			return fail(it.Err())
		}
		if err := f(it.Val()); err != nil {
			return err
		}
	}
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// figures returns what INFO says, by name.
func (r *remote) figures(ctx context.Context) (map[string]string, error) {
	text, err := r.Info(ctx).Result()
	if err != nil {
		return nil, fail(err)
	}
	m := make(map[string]string)
	for _, line := range strings.Split(text, "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") {
			m[name] = value
		}
	}
	return m, nil
}

func number(m map[string]string, name string) float64 {
	f, _ := strconv.ParseFloat(m[name], 64)
	return f
}
