package config

import (
	"math"
	"strings"
)

// The engines of the memory tier that a program chooses between: EngineAuto leaves
// it to the program, and is ristretto unless that says otherwise; EnginePacked is a
// packstore, for values that are bytes.
const (
	EngineAuto   = "auto"
	EnginePacked = "packed"
)

// Setting is one value of the configuration.
type Setting struct {
	Path    string   // in the file: "tiers.memory.capacity"
	Env     []string // variables that override the file, the last that is set wins
	Default string   // as it would be written; empty: none
	Doc     string   // one line
	Secret  bool

	parse func(string) (any, error)
}

// Settings returns every setting but the classes and rules, in the order of
// the file that Sample returns.
func Settings() []Setting {
	all := append(memorySettings(), redisSettings()...)
	all = append(all, diskSettings()...)
	all = append(all, chainSettings()...)
	all = append(all, serverSettings()...)
	for i := range all {
		s := &all[i]
		name := strings.ToUpper(strings.ReplaceAll(strings.TrimPrefix(s.Path, "tiers."), ".", "_"))
		if rest, ok := strings.CutPrefix(name, "REDIS_"); ok && plainRedis[rest] {
			s.Env = append(s.Env, name)
		}
		s.Env = append(s.Env, "STRATA_"+name)
	}
	return all
}

// plainRedis are the variables without STRATA_ that other programs use too.
var plainRedis = map[string]bool{"URL": true, "HOST": true, "PORT": true, "DB": true, "USERNAME": true, "PASSWORD": true}

func memorySettings() []Setting {
	return []Setting{
		{Path: "tiers.memory.enabled", Default: "true", Doc: "keep decoded values in this process", parse: parseBool},
		{Path: "tiers.memory.engine", Default: EngineAuto, Doc: "ristretto, otter or packed (bytes; lists its keys); auto: packed for strata serve, else ristretto", parse: oneOf(EngineAuto, "ristretto", "otter", EnginePacked)},
		{Path: "tiers.memory.capacity", Default: "64MiB", Doc: "memory for values, keys and bookkeeping", parse: parseSize},
		{Path: "tiers.memory.max_entry", Default: "0", Doc: "largest entry; 0: an eighth of the capacity", parse: parseSize},
		{Path: "tiers.memory.ttl", Default: "0s", Doc: "longest stay of any entry; 0s: no bound", parse: parseDuration},
	}
}

func redisSettings() []Setting {
	return []Setting{
		{Path: "tiers.redis.enabled", Default: "true", Doc: "use Redis where a server is named", parse: parseBool},
		{Path: "tiers.redis.url", Secret: true, Doc: "redis://user:password@host:6379/0, rediss:// for TLS, redis+sentinel://, redis+cluster://", parse: parseSecret},
		{Path: "tiers.redis.host", Doc: "instead of url", parse: parseText},
		{Path: "tiers.redis.port", Default: "6379", Doc: "with host", parse: count(1, 65535)},
		{Path: "tiers.redis.db", Default: "0", Doc: "number of the database", parse: count(0, math.MaxInt32)},
		{Path: "tiers.redis.username", Doc: "ACL user", parse: parseText},
		{Path: "tiers.redis.password", Secret: true, Doc: "better set as REDIS_PASSWORD than written here", parse: parseSecret},
		{Path: "tiers.redis.prefix", Doc: "begins every key in Redis", parse: parseText},
		{Path: "tiers.redis.pool_size", Default: "0", Doc: "connections; 0: 10 per processor", parse: count(0, 100_000)},
		{Path: "tiers.redis.max_value", Default: "512MiB", Doc: "largest value", parse: parseSize},
		{Path: "tiers.redis.newest_wins", Default: "false", Doc: "a write never replaces a newer one of another process", parse: parseBool},
		{Path: "tiers.redis.feed", Default: "true", Doc: "tell other processes of writes, and hear of theirs", parse: parseBool},
		{Path: "tiers.redis.tracking", Default: "false", Doc: "hear also of writes by programs without strata, by CLIENT TRACKING; needs feed and Redis 6", parse: parseBool},
		{Path: "tiers.redis.ttl", Default: "0s", Doc: "longest stay of any entry; 0s: no bound", parse: parseDuration},
		{Path: "tiers.redis.timeout", Default: "0s", Doc: "bound of each call; 0s: chain.tier_timeout", parse: parseDuration},
		{Path: "tiers.redis.write_back", Default: "false", Doc: "write behind the caller's back, where a rule says nothing else", parse: parseBool},
	}
}

func diskSettings() []Setting {
	return []Setting{
		{Path: "tiers.disk.enabled", Default: "true", Doc: "use the disk where a directory is named", parse: parseBool},
		{Path: "tiers.disk.dir", Doc: "directory, owned by one process", parse: parseText},
		{Path: "tiers.disk.capacity", Default: "0", Doc: "bytes on the disk; 0: no bound", parse: parseSize},
		{Path: "tiers.disk.segment_size", Default: "32MiB", Doc: "bytes gathered before they are sealed", parse: parseSize},
		{Path: "tiers.disk.max_value", Default: "64MiB", Doc: "largest value", parse: parseSize},
		{Path: "tiers.disk.sync", Default: "interval", Doc: "always (before a write returns), interval or never", parse: oneOf("always", "interval", "never")},
		{Path: "tiers.disk.sync_interval", Default: "1s", Doc: "of sync: interval", parse: parseDuration},
		{Path: "tiers.disk.ttl", Default: "0s", Doc: "longest stay of any entry; 0s: no bound", parse: parseDuration},
		{Path: "tiers.disk.timeout", Default: "0s", Doc: "bound of each call; 0s: chain.tier_timeout", parse: parseDuration},
		{Path: "tiers.disk.write_back", Default: "false", Doc: "write behind the caller's back, where a rule says nothing else", parse: parseBool},
	}
}

func chainSettings() []Setting {
	return []Setting{
		{Path: "chain.default_ttl", Default: "5m", Doc: "of keys without a rule; or never", parse: parseTTL},
		{Path: "chain.tier_timeout", Default: "5s", Doc: "bound of each call of a tier", parse: parseDuration},
		{Path: "chain.load_timeout", Default: "30s", Doc: "bound of loads without a hard_timeout", parse: parseDuration},
		{Path: "chain.max_loads", Default: "1024", Doc: "loads at a time", parse: count(1, math.MaxInt32)},
		{Path: "chain.negative_entries", Default: "16384", Doc: "keys remembered as not found", parse: count(1, math.MaxInt32)},
		{Path: "chain.pending_entries", Default: "65536", Doc: "writes that may wait for a tier", parse: count(1, math.MaxInt32)},
		{Path: "chain.pending_bytes", Default: "64MiB", Doc: "and their size", parse: parseSize},
		{Path: "chain.pending_attempts", Default: "0", Doc: "failures after which a write is given up; 0: never", parse: count(0, math.MaxInt32)},
		{Path: "chain.pending_age", Default: "0s", Doc: "age at which a write that fails is given up; 0s: never", parse: parseDuration},
		{Path: "chain.when_full", Default: "block", Doc: "what a write does then: block, through or reject", parse: oneOf("block", "through", "reject")},
		{Path: "chain.journal", Doc: "directory for the writes of rules with durable: true", parse: parseText},
	}
}

func serverSettings() []Setting {
	return []Setting{
		{Path: "server.addr", Default: "127.0.0.1:6379", Doc: "where \"strata serve\" listens; give it a password before it is more than loopback", parse: parseText},
		{Path: "server.user", Doc: "name that goes with the password; default: default", parse: parseText},
		{Path: "server.password", Secret: true, Doc: "what clients must give; better set as STRATA_SERVER_PASSWORD", parse: parseSecret},
		{Path: "server.tls_cert", Doc: "file of the certificate; with it, connections are TLS", parse: parseText},
		{Path: "server.tls_key", Doc: "file of the certificate's key", parse: parseText},
		{Path: "server.tls_client_ca", Doc: "file of the authorities whose clients are let in; empty: any client", parse: parseText},
		{Path: "server.max_clients", Default: "10000", Doc: "connections", parse: count(1, 1_000_000)},
		{Path: "server.max_request", Default: "64MiB", Doc: "largest request, and value", parse: parseSize},
		{Path: "server.max_queued", Default: "16384", Doc: "commands of a transaction", parse: count(1, math.MaxInt32)},
		{Path: "server.idle_timeout", Default: "0s", Doc: "after which a connection without requests is closed; 0s: never", parse: parseDuration},
		{Path: "server.drain_timeout", Default: "20s", Doc: "how long SIGTERM waits for clients and for writes that are pending", parse: parseDuration},
		{Path: "server.http", Doc: "address of /metrics, /healthz and /readyz; empty: none", parse: parseText},
		{Path: "server.pprof", Default: "false", Doc: "profiles under /debug/pprof/ of that address", parse: parseBool},
	}
}
