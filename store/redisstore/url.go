package redisstore

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ParseURL reads a Config from a URL:
//
//	redis://user:password@host:6379/0        a server; rediss:// with TLS
//	unix://user:password@/run/redis.sock?db=0
//	redis+cluster://host1:6379,host2:6379    a Cluster; rediss+cluster://
//	redis+sentinel://host1:26379,host2/mymaster/0   Sentinels; rediss+sentinel://
//
// Further settings are parameters: db, client_name, pool_size, min_idle_conns,
// max_retries, dial_timeout, read_timeout, write_timeout, pool_timeout. An
// unknown one is refused. No error has any part of the URL that could hold a
// password.
func ParseURL(s string) (*Config, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return nil, errors.New("redisstore: the URL has no scheme; want redis://, rediss://, unix://, redis+cluster:// or redis+sentinel://")
	}
	base, kind, _ := strings.Cut(scheme, "+")
	cfg := &Config{}
	switch {
	case base == "rediss":
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	case base == "unix" && kind == "", base == "redis":
	default:
		return nil, fmt.Errorf("redisstore: unknown URL scheme %q; want redis, rediss, unix, redis+cluster or redis+sentinel", scheme)
	}
	hosts, u, err := splitURL(rest)
	if err != nil {
		return nil, err
	}
	if u.User != nil {
		cfg.Username = u.User.Username()
		cfg.Password, _ = u.User.Password()
	}
	path := strings.TrimPrefix(u.Path, "/")
	if base != "unix" && strings.Contains(path, "@") { // the end of a password that has a slash
		return nil, errMalformed
	}
	switch {
	case base == "unix":
		cfg.Addrs, path = []string{u.Path}, ""
	case kind == "cluster":
		cfg.Cluster = true
		cfg.Addrs = withPort(hosts, "6379")
	case kind == "sentinel":
		cfg.MasterName, path, _ = strings.Cut(path, "/")
		if cfg.MasterName == "" {
			return nil, errors.New("redisstore: the URL of Sentinels has no master name: redis+sentinel://host:26379/name")
		}
		cfg.Addrs = withPort(hosts, "26379")
	case kind == "":
		cfg.Addrs = withPort(hosts, "6379")
	default:
		return nil, fmt.Errorf("redisstore: unknown URL scheme %q", scheme)
	}
	if path != "" {
		if err := setInt(&cfg.DB, "database", path); err != nil {
			return nil, err
		}
	}
	if err := cfg.setParams(u.Query()); err != nil {
		return nil, err
	}
	return cfg, cfg.validate()
}

var errMalformed = errors.New("redisstore: the URL is malformed " +
	"(a password with characters such as / ? # @ : must be percent-encoded)")

// splitURL parses what follows the scheme. The list of hosts is taken out first,
// for net/url allows one host only. Errors of net/url quote the URL, password
// and all, so they are not passed on.
func splitURL(rest string) (hosts string, u *url.URL, err error) {
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	user := ""
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, hosts = authority[:i+1], authority[i+1:]
	} else {
		hosts = authority
	}
	u, err = url.Parse("redis://" + user + "host" + tail)
	if err != nil || u.Fragment != "" {
		return "", nil, errMalformed
	}
	if _, err := url.ParseQuery(u.RawQuery); err != nil {
		return "", nil, errors.New("redisstore: the parameters of the URL are malformed")
	}
	return hosts, u, nil
}

// withPort splits a list of hosts and completes each with a port.
func withPort(hosts, port string) []string {
	var addrs []string
	for host := range strings.SplitSeq(hosts, ",") {
		if host == "" {
			host = "localhost"
		}
		if _, _, err := net.SplitHostPort(host); err != nil {
			host = net.JoinHostPort(strings.Trim(host, "[]"), port)
		}
		addrs = append(addrs, host)
	}
	return addrs
}

func (c *Config) setParams(params url.Values) error {
	ints := map[string]*int{
		"db": &c.DB, "pool_size": &c.PoolSize, "min_idle_conns": &c.MinIdleConns, "max_retries": &c.MaxRetries,
	}
	durations := map[string]*time.Duration{
		"dial_timeout": &c.DialTimeout, "read_timeout": &c.ReadTimeout,
		"write_timeout": &c.WriteTimeout, "pool_timeout": &c.PoolTimeout,
	}
	for name, values := range params {
		value := values[len(values)-1]
		var err error
		switch {
		case ints[name] != nil:
			err = setInt(ints[name], name, value)
		case durations[name] != nil:
			if *durations[name], err = time.ParseDuration(value); err != nil {
				err = fmt.Errorf("redisstore: URL parameter %s is no duration such as 500ms", name)
			}
		case name == "client_name":
			c.ClientName = value
		default:
			err = fmt.Errorf("redisstore: unknown URL parameter %q", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func setInt(p *int, name, value string) error {
	n, err := strconv.Atoi(value)
	if err != nil {
		return fmt.Errorf("redisstore: %s of the URL is no number", name)
	}
	*p = n
	return nil
}

// ConfigFromEnv reads REDIS_URL, or REDIS_HOST, REDIS_PORT, REDIS_DB,
// REDIS_USERNAME and REDIS_PASSWORD, through getenv (os.Getenv). It returns nil
// where neither REDIS_URL nor REDIS_HOST is set: no Redis is configured then.
func ConfigFromEnv(getenv func(string) string) (*Config, error) {
	if u := getenv("REDIS_URL"); u != "" {
		return ParseURL(u)
	}
	host, port := getenv("REDIS_HOST"), getenv("REDIS_PORT")
	if host == "" {
		return nil, nil
	}
	if port == "" {
		port = "6379"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return nil, errors.New("redisstore: REDIS_PORT is no port number")
	}
	cfg := &Config{
		Addrs:    []string{net.JoinHostPort(host, port)},
		Username: getenv("REDIS_USERNAME"),
		Password: getenv("REDIS_PASSWORD"),
	}
	if db := getenv("REDIS_DB"); db != "" {
		n, err := strconv.Atoi(db)
		if err != nil {
			return nil, errors.New("redisstore: REDIS_DB is no number")
		}
		cfg.DB = n
	}
	return cfg, cfg.validate()
}
