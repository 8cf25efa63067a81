package config

import (
	"log/slog"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/marshal"
	"github.com/stratacache/strata/policy"
)

// Config is a checked configuration. Load makes it; a program may change it
// before Build.
type Config struct {
	Path   string      `koanf:"-"` // of the file; empty without one
	Tiers  Tiers       `koanf:"tiers"`
	Chain  Chain       `koanf:"chain"`
	Server Server      `koanf:"server"`
	Policy *policy.Set `koanf:"-"` // the classes and rules of the file

	// Keyrings are the key rings that rules name in `encrypt`.
	Keyrings map[string]*marshal.Keyring `koanf:"-"`

	// IgnoreJournal leaves the journal of durable writes to the program that owns
	// it, and makes rules that are durable not so. It is for tools.
	IgnoreJournal bool `koanf:"-"`

	// Logger, OnError and Observer are handed to the chain and the disk tier;
	// see chain.Options. They are not in the file.
	Logger   *slog.Logger   `koanf:"-"`
	OnError  func(error)    `koanf:"-"`
	Observer chain.Observer `koanf:"-"`

	values []Value
}

// Tiers are the settings of the three tiers.
type Tiers struct {
	Memory Memory `koanf:"memory"`
	Redis  Redis  `koanf:"redis"`
	Disk   Disk   `koanf:"disk"`
}

// Memory is the tier in this process.
type Memory struct {
	Enabled  bool          `koanf:"enabled"`
	Engine   string        `koanf:"engine"`    // "auto", "ristretto", "otter" or "packed"
	Capacity int64         `koanf:"capacity"`  // bytes
	MaxEntry int64         `koanf:"max_entry"` // bytes; 0: an eighth of Capacity
	TTL      time.Duration `koanf:"ttl"`       // bound; 0: none
}

// Redis is the shared tier. It is used where URL or Host is set.
type Redis struct {
	Enabled    bool          `koanf:"enabled"`
	URL        Secret        `koanf:"url"` // may hold a password
	Host       string        `koanf:"host"`
	Port       int           `koanf:"port"`
	DB         int           `koanf:"db"`
	Username   string        `koanf:"username"`
	Password   Secret        `koanf:"password"`
	Prefix     string        `koanf:"prefix"`
	PoolSize   int           `koanf:"pool_size"`
	MaxValue   int64         `koanf:"max_value"` // bytes
	NewestWins bool          `koanf:"newest_wins"`
	Feed       bool          `koanf:"feed"`     // exchange news of writes with other processes
	Tracking   bool          `koanf:"tracking"` // with Feed: hear also of writes by other programs
	TTL        time.Duration `koanf:"ttl"`      // bound; 0: none
	Timeout    time.Duration `koanf:"timeout"`  // of a call; 0: the chain's
	WriteBack  bool          `koanf:"write_back"`

	ownDB bool // DB was set, be it to 0, and wins over that of URL
}

// Configured reports whether the tier is to be used.
func (r *Redis) Configured() bool { return r.Enabled && (r.URL != "" || r.Host != "") }

// Disk is the tier on the local disk. It is used where Dir is set.
type Disk struct {
	Enabled      bool          `koanf:"enabled"`
	Dir          string        `koanf:"dir"`
	Capacity     int64         `koanf:"capacity"`     // bytes; 0: no bound
	SegmentSize  int64         `koanf:"segment_size"` // bytes
	MaxValue     int64         `koanf:"max_value"`    // bytes
	Sync         string        `koanf:"sync"`         // always, interval, never
	SyncInterval time.Duration `koanf:"sync_interval"`
	TTL          time.Duration `koanf:"ttl"`     // bound; 0: none
	Timeout      time.Duration `koanf:"timeout"` // of a call; 0: the chain's
	WriteBack    bool          `koanf:"write_back"`

	// ReadOnly opens the directory beside a process that writes it. It is for
	// tools, and not in the file.
	ReadOnly bool `koanf:"-"`
}

// Configured reports whether the tier is to be used.
func (d *Disk) Configured() bool { return d.Enabled && d.Dir != "" }

// Chain is what holds for all tiers; see chain.Options.
type Chain struct {
	DefaultTTL      time.Duration `koanf:"default_ttl"` // negative: never
	TierTimeout     time.Duration `koanf:"tier_timeout"`
	LoadTimeout     time.Duration `koanf:"load_timeout"`
	MaxLoads        int           `koanf:"max_loads"`
	NegativeEntries int           `koanf:"negative_entries"`
	PendingEntries  int           `koanf:"pending_entries"`
	PendingBytes    int64         `koanf:"pending_bytes"`
	PendingAttempts int           `koanf:"pending_attempts"` // 0: no limit
	PendingAge      time.Duration `koanf:"pending_age"`      // 0: no limit
	WhenFull        string        `koanf:"when_full"`        // block, through, reject
	Journal         string        `koanf:"journal"`
}

// Server is what `strata serve` listens on.
type Server struct {
	Addr         string        `koanf:"addr"`
	User         string        `koanf:"user"`
	Password     Secret        `koanf:"password"`
	TLSCert      string        `koanf:"tls_cert"`
	TLSKey       string        `koanf:"tls_key"`
	TLSClientCA  string        `koanf:"tls_client_ca"`
	MaxClients   int           `koanf:"max_clients"`
	MaxRequest   int64         `koanf:"max_request"` // bytes
	MaxQueued    int           `koanf:"max_queued"`
	IdleTimeout  time.Duration `koanf:"idle_timeout"` // 0: never
	DrainTimeout time.Duration `koanf:"drain_timeout"`
	HTTP         string        `koanf:"http"`
	Pprof        bool          `koanf:"pprof"`
}

// Value is a setting in force and where it came from.
type Value struct {
	Setting
	Text   string // as it was written; "***" for a secret
	Origin string // "default", "line 3", "REDIS_HOST"
}

// Values returns the settings in force, in the order of Settings.
func (c *Config) Values() []Value { return append([]Value(nil), c.values...) }
