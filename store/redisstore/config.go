package redisstore

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Defaults of Config. They are shorter than go-redis's, because a cache that is
// slow to fail is worse than none.
const (
	DefaultDialTimeout = time.Second
	DefaultIOTimeout   = 2 * time.Second
	DefaultPoolTimeout = time.Second
)

// Config says how to reach Redis. Print it freely: it hides its passwords.
type Config struct {
	// Addrs is host:port of the server, of some nodes of the Cluster, or of the
	// Sentinels; or the path of a Unix socket, which begins with "/". Empty
	// means localhost:6379, and 26379 for Sentinels.
	Addrs []string
	// DB is the number of the database; a Cluster has only 0.
	DB int
	// Username is the ACL user; empty is Redis's user "default".
	Username string
	Password string

	// Cluster: the addresses are those of a Cluster.
	Cluster bool
	// MasterName is the name that the Sentinels know the master by. Empty: the
	// addresses are not those of Sentinels.
	MasterName       string
	SentinelUsername string
	SentinelPassword string

	// TLS turns on TLS. Nil: none. A host name of the certificate that is not
	// set is the address's.
	TLS *tls.Config

	// PoolSize is the most connections to a node; 0 means 10 per processor.
	PoolSize int
	// MinIdleConns is how many connections are kept open in advance.
	MinIdleConns int
	// DialTimeout, ReadTimeout, WriteTimeout and PoolTimeout bound single steps
	// of a call where its context does not bound it earlier. 0 means the
	// Default constants.
	DialTimeout, ReadTimeout, WriteTimeout, PoolTimeout time.Duration
	// MaxRetries is how often a failed command is tried again; 0 means 1, and a
	// negative number never.
	MaxRetries int
	// ClientName is shown in Redis's CLIENT LIST.
	ClientName string
}

// Open returns a store on the server that url names; see ParseURL. Nothing is
// sent. Close of the store closes its connections.
func Open(url string, opts *Options) (*Store, error) {
	cfg, err := ParseURL(url)
	if err != nil {
		return nil, err
	}
	return Connect(cfg, opts)
}

// Connect is Open with a Config in place of a URL. A nil cfg is localhost:6379.
func Connect(cfg *Config, opts *Options) (*Store, error) {
	client, err := NewClient(cfg)
	if err != nil {
		return nil, err
	}
	var o Options
	if opts != nil {
		o = *opts
	}
	o.CloseClient = true
	s, err := New(client, &o)
	if err != nil {
		_ = client.Close() // it has no connection yet
		return nil, err
	}
	return s, nil
}

// NewClient returns a client that suits a Store: it respects contexts, bounds
// every step and does not retry for long. Nothing is sent. The caller closes it.
func NewClient(cfg *Config) (redis.UniversalClient, error) {
	var c Config
	if cfg != nil {
		c = *cfg
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	o := c.universal()
	switch {
	case c.MasterName != "":
		return redis.NewFailoverClient(o.Failover()), nil
	case c.Cluster:
		return redis.NewClusterClient(o.Cluster()), nil
	}
	return redis.NewClient(o.Simple()), nil
}

func (c *Config) universal() *redis.UniversalOptions {
	return &redis.UniversalOptions{
		Addrs: c.Addrs, DB: c.DB, Username: c.Username, Password: c.Password, ClientName: c.ClientName,
		MasterName: c.MasterName, SentinelUsername: c.SentinelUsername, SentinelPassword: c.SentinelPassword,
		TLSConfig: c.TLS,
		PoolSize:  c.PoolSize, MinIdleConns: c.MinIdleConns,
		DialTimeout:  orDefault(c.DialTimeout, DefaultDialTimeout),
		ReadTimeout:  orDefault(c.ReadTimeout, DefaultIOTimeout),
		WriteTimeout: orDefault(c.WriteTimeout, DefaultIOTimeout),
		PoolTimeout:  orDefault(c.PoolTimeout, DefaultPoolTimeout),
		MaxRetries:   orDefault(c.MaxRetries, 1),

		ContextTimeoutEnabled: true,
		DialerRetries:         1, // a server that is down is reported at once
		// They are a feature of Redis Enterprise, which others answer with an
		// error on each connection.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

func (c *Config) validate() error {
	switch {
	case c.DB < 0:
		return fmt.Errorf("redisstore: Config.DB is %d; want 0 or more", c.DB)
	case c.Cluster && c.DB != 0:
		return fmt.Errorf("redisstore: Config.DB is %d; a Cluster has only database 0", c.DB)
	case c.Cluster && c.MasterName != "":
		return errors.New("redisstore: Config.Cluster and Config.MasterName exclude each other")
	case !c.Cluster && c.MasterName == "" && len(c.Addrs) > 1:
		return fmt.Errorf("redisstore: Config.Addrs has %d addresses; a single server has one (set Cluster or MasterName)", len(c.Addrs))
	case c.PoolSize < 0:
		return fmt.Errorf("redisstore: Config.PoolSize is %d; want 0 or more", c.PoolSize)
	case c.MinIdleConns < 0:
		return fmt.Errorf("redisstore: Config.MinIdleConns is %d; want 0 or more", c.MinIdleConns)
	}
	for name, d := range map[string]time.Duration{
		"DialTimeout": c.DialTimeout, "ReadTimeout": c.ReadTimeout, "WriteTimeout": c.WriteTimeout, "PoolTimeout": c.PoolTimeout,
	} {
		if d < 0 {
			return fmt.Errorf("redisstore: Config.%s is %v; want 0 or more", name, d)
		}
	}
	for _, addr := range c.Addrs {
		if strings.HasPrefix(addr, "/") {
			continue
		}
		if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
			return fmt.Errorf("redisstore: Config.Addrs has %q; want host:port", addr)
		}
	}
	return nil
}

func orDefault[T int | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// String returns c without its passwords.
func (c *Config) String() string {
	var b strings.Builder
	b.WriteString("redis ")
	b.WriteString(strings.Join(c.Addrs, ","))
	if c.MasterName != "" {
		fmt.Fprintf(&b, " sentinel master %q", c.MasterName)
	}
	if c.Cluster {
		b.WriteString(" cluster")
	}
	fmt.Fprintf(&b, " db %d", c.DB)
	if c.Username != "" {
		fmt.Fprintf(&b, " user %q", c.Username)
	}
	if c.TLS != nil {
		b.WriteString(" tls")
	}
	return b.String()
}

// GoString is String, for %#v.
func (c *Config) GoString() string { return c.String() }

// LogValue is String, for slog.
func (c *Config) LogValue() slog.Value { return slog.StringValue(c.String()) }
