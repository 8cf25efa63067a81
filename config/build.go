package config

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore"
	"github.com/stratacache/strata/store/memstore"
	"github.com/stratacache/strata/store/otterstore"
	"github.com/stratacache/strata/store/packstore"
	"github.com/stratacache/strata/store/redisstore"
)

// The names of the tiers, for rules and statistics.
const (
	memoryTier = "memory"
	redisTier  = "redis"
	diskTier   = "disk"
)

func (c *Config) tierNames() []string {
	var names []string
	if c.Tiers.Memory.Enabled {
		names = append(names, memoryTier)
	}
	if c.Tiers.Redis.Configured() {
		names = append(names, redisTier)
	}
	if c.Tiers.Disk.Configured() {
		names = append(names, diskTier)
	}
	return names
}

// Build opens the tiers and returns their chain, which owns them: Close closes
// them. A Redis that is not there is no error: the chain goes without it, and
// says so, until it comes back. What was opened is closed again where Build
// fails.
func (c *Config) Build(ctx context.Context) (ch *chain.Chain, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	policies, err := c.Policy.Restrict(c.tierNames()...)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if c.IgnoreJournal {
		if policies, err = policies.WithoutDurable(); err != nil {
			return nil, fmt.Errorf("config: %w", err)
		}
	}
	var tiers []chain.Tier
	var feed store.Feed
	defer func() {
		if err == nil {
			return
		}
		for _, t := range tiers {
			err = errors.Join(err, t.Store.Close())
		}
	}()
	if m := &c.Tiers.Memory; m.Enabled {
		s, err := m.open()
		if err != nil {
			return nil, fmt.Errorf("config: tiers.memory: %w", err)
		}
		tiers = append(tiers, chain.Tier{Name: memoryTier, Store: s, TTL: m.TTL})
	}
	if r := &c.Tiers.Redis; r.Configured() {
		s, err := r.open(policies)
		if err != nil {
			return nil, fmt.Errorf("config: tiers.redis: %w", err)
		}
		if feed, err = r.feed(s); err != nil {
			return nil, errors.Join(fmt.Errorf("config: tiers.redis.feed: %w", err), s.Close())
		}
		tiers = append(tiers, chain.Tier{Name: redisTier, Store: s, Shared: true, TTL: r.TTL, Timeout: r.Timeout, WriteBack: r.WriteBack})
	}
	if d := &c.Tiers.Disk; d.Configured() {
		s, err := d.open(policies, c)
		if err != nil {
			return nil, fmt.Errorf("config: tiers.disk: %w", err)
		}
		tiers = append(tiers, chain.Tier{Name: diskTier, Store: s, TTL: d.TTL, Timeout: d.Timeout, WriteBack: d.WriteBack})
	}
	opts := c.chainOptions()
	opts.Feed = feed
	return chain.New(tiers, policies, opts)
}

func (c *Config) chainOptions() *chain.Options {
	journal := c.Chain.Journal
	if c.IgnoreJournal {
		journal = ""
	}
	full := map[string]chain.FullPolicy{"block": chain.FullBlock, "through": chain.FullThrough, "reject": chain.FullReject}
	return &chain.Options{
		DefaultTTL:      c.Chain.DefaultTTL,
		TierTimeout:     c.Chain.TierTimeout,
		LoadTimeout:     c.Chain.LoadTimeout,
		MaxLoads:        c.Chain.MaxLoads,
		NegativeEntries: c.Chain.NegativeEntries,
		Pending: chain.PendingOptions{
			MaxEntries:  c.Chain.PendingEntries,
			MaxBytes:    c.Chain.PendingBytes,
			WhenFull:    full[c.Chain.WhenFull],
			MaxAttempts: c.Chain.PendingAttempts,
			MaxAge:      c.Chain.PendingAge,
			Journal:     journal,
		},
		Keyrings: c.Keyrings,
		Logger:   c.Logger, OnError: c.OnError, Observer: c.Observer,
	}
}

// client returns how to reach the server. With a url, user, password and
// database that are set beside it win over those in it.
func (r *Redis) client() (*redisstore.Config, error) {
	cfg := &redisstore.Config{Addrs: []string{net.JoinHostPort(r.Host, strconv.Itoa(r.Port))}}
	if r.URL != "" {
		var err error
		if cfg, err = redisstore.ParseURL(string(r.URL)); err != nil {
			return nil, err
		}
	}
	if r.DB != 0 || r.ownDB {
		cfg.DB = r.DB
	}
	if r.Username != "" {
		cfg.Username = r.Username
	}
	if r.Password != "" {
		cfg.Password = string(r.Password)
	}
	if r.PoolSize != 0 {
		cfg.PoolSize = r.PoolSize
	}
	return cfg, nil
}

func (m *Memory) open() (store.Store, error) {
	switch m.Engine {
	case EnginePacked:
		return opened(packstore.New(&packstore.Options{Capacity: m.Capacity, MaxEntry: m.MaxEntry, Unpack: chain.Unpack}))
	case "otter":
		return opened(otterstore.New(&otterstore.Options{Capacity: m.Capacity, MaxEntry: m.MaxEntry}))
	}
	return opened(memstore.New(&memstore.Options{Capacity: m.Capacity, MaxEntry: m.MaxEntry}))
}

func (r *Redis) open(wire store.Wirer) (*redisstore.Store, error) {
	cfg, err := r.client()
	if err != nil {
		return nil, err
	}
	return redisstore.Connect(cfg, &redisstore.Options{
		Prefix: r.Prefix, Wire: wire, MaxValue: r.MaxValue, NewestWins: r.NewestWins,
	})
}

// feed returns the feed of s that is configured, nil for none.
func (r *Redis) feed(s *redisstore.Store) (store.Feed, error) {
	switch {
	case !r.Feed:
		return nil, nil
	case r.Tracking:
		return s.TrackingFeed(nil)
	}
	return s.Feed(nil)
}

func (d *Disk) open(tables store.Partitioner, c *Config) (store.Store, error) {
	syncs := map[string]diskstore.Sync{"always": diskstore.SyncAlways, "interval": diskstore.SyncInterval, "never": diskstore.SyncNever}
	return diskstore.Open(d.Dir, &diskstore.Options{
		Sync: syncs[d.Sync], Interval: d.SyncInterval, Capacity: d.Capacity, SegmentSize: d.SegmentSize,
		MaxValue: int(min(d.MaxValue, math.MaxInt32)), Partitioner: tables, ReadOnly: d.ReadOnly,
		Logger: c.Logger, OnError: c.OnError,
	})
}

// opened keeps a nil pointer from becoming a store that is not nil.
func opened[S store.Store](s S, err error) (store.Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Client returns a client of the server, as the tier would use it. The caller
// closes it.
func (r *Redis) Client() (redis.UniversalClient, error) {
	cfg, err := r.client()
	if err != nil {
		return nil, err
	}
	return redisstore.NewClient(cfg)
}
