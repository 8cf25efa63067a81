package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/v2"

	"github.com/stratacache/strata/marshal"
	"github.com/stratacache/strata/policy"
)

// maxFile bounds what Load reads.
const maxFile = 4 << 20

// Load reads the file at path (none if it is empty) and the environment, of
// which env returns a variable; os.LookupEnv does. An error is an *Error, or
// says why the file cannot be read.
func Load(path string, env func(string) (string, bool)) (*Config, error) {
	var data []byte
	if path != "" {
		var err error
		if data, err = readFile(path); err != nil {
			return nil, err
		}
	}
	return parse(path, data, env)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("config: there is no file %s (\"strata config init\" writes one)", path)
	case err != nil:
		return nil, fmt.Errorf("config: %w", err)
	case info.IsDir():
		return nil, fmt.Errorf("config: %s is a directory", path)
	case info.Size() > maxFile:
		return nil, tooLarge(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1)) // a device has no size, and no end
	switch {
	case err != nil:
		return nil, fmt.Errorf("config: %w", err)
	case len(data) > maxFile:
		return nil, tooLarge(path)
	}
	return data, nil
}

func tooLarge(path string) error {
	return fmt.Errorf("config: %s is larger than %d MiB", path, maxFile>>20)
}

// Parse is Load for a file that is already read; path is its name in errors.
func Parse(path string, data []byte, env func(string) (string, bool)) (*Config, error) {
	return parse(path, data, env)
}

// loader gathers the values of the settings from their sources.
type loader struct {
	k        *koanf.Koanf
	env      func(string) (string, bool)
	file     map[string]scalar // by path
	level    map[string]int    // by path: which source set it
	rings    map[string]*marshal.Keyring
	values   []Value
	problems []policy.Problem
}

// The sources, weakest first.
const (
	fromDefault = iota
	fromFile
	fromEnv // fromEnv+i is the i-th variable of a setting
)

func parse(path string, data []byte, env func(string) (string, bool)) (*Config, error) {
	if env == nil {
		env = func(string) (string, bool) { return "", false }
	}
	l := &loader{k: koanf.New("."), env: env, file: make(map[string]scalar), level: make(map[string]int)}
	l.readYAML(data)
	for _, s := range Settings() {
		l.set(s)
	}
	cfg := &Config{Path: path, Keyrings: l.rings, values: l.values}
	if err := l.k.UnmarshalWithConf("", cfg, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		Result: cfg, ErrorUnused: true, TagName: "koanf",
	}}); err != nil {
		return nil, fmt.Errorf("config: %w", err) // the settings and the structs disagree
	}
	l.policy(cfg, data)
	if len(l.problems) == 0 {
		l.check(cfg)
	}
	if len(l.problems) > 0 {
		sort.SliceStable(l.problems, func(i, j int) bool { return l.problems[i].Line < l.problems[j].Line })
		return nil, &Error{Path: path, Problems: l.problems}
	}
	return cfg, nil
}

func (l *loader) bad(line int, field, format string, args ...any) {
	l.problems = append(l.problems, policy.Problem{Line: line, Field: field, Msg: fmt.Sprintf(format, args...)})
}

// set gives a setting the value of its strongest source.
func (l *loader) set(s Setting) {
	v := Value{Setting: s, Text: s.Default, Origin: "default"}
	line := 0
	if f, ok := l.file[s.Path]; ok {
		v.Text, v.Origin, line = f.text, fmt.Sprintf("line %d", f.line), f.line
		l.level[s.Path] = fromFile
	}
	for i, name := range s.Env {
		if text, ok := l.env(name); ok && text != "" {
			v.Text, v.Origin, line = text, name, 0
			l.level[s.Path] = fromEnv + len(plainOrOwn) - len(s.Env) + i
		}
	}
	if v.Text != "" || v.Origin != "default" {
		parsed, err := s.parse(v.Text)
		if err != nil {
			field := s.Path
			if line == 0 {
				field = v.Origin
			}
			l.bad(line, field, "%v", err)
			return
		}
		if err := l.k.Set(s.Path, parsed); err != nil {
			l.bad(line, s.Path, "%v", err)
		}
	}
	if s.Secret {
		v.Text = Secret(v.Text).String()
	}
	l.values = append(l.values, v)
}

// plainOrOwn are the two kinds of variables, weaker first: a setting with one
// has only the stronger.
var plainOrOwn = [2]string{"REDIS_*", "STRATA_*"}

// policy compiles the classes and rules.
func (l *loader) policy(cfg *Config, data []byte) {
	set, err := policy.ParseWithin(data, sections...)
	var pe *policy.Error
	switch {
	case errors.As(err, &pe):
		l.problems = append(l.problems, pe.Problems...)
	case err != nil:
		l.bad(0, "", "%v", err)
	}
	cfg.Policy = set
}

// check looks at what no setting can check by itself.
func (l *loader) check(cfg *Config) {
	r := &cfg.Tiers.Redis
	l.chooseServer(r)
	if r.Configured() {
		if _, err := r.client(); err != nil {
			l.bad(l.file["tiers.redis.url"].line, "tiers.redis", "%s", strings.TrimPrefix(err.Error(), "redisstore: "))
		}
	}
	if r.Tracking && !r.Feed {
		l.bad(l.file["tiers.redis.tracking"].line, "tiers.redis.tracking", "needs tiers.redis.feed, which is false")
	}
	if !cfg.Tiers.Memory.Enabled && !r.Configured() && !cfg.Tiers.Disk.Configured() {
		l.bad(0, "tiers", "there is none: memory is off, and neither a Redis server nor a directory is named")
	}
	l.checkServer(&cfg.Server)
	for _, rule := range cfg.Policy.Rules() {
		l.checkRule(cfg, rule)
	}
	if len(l.problems) > 0 {
		return
	}
	if _, err := cfg.Policy.Restrict(cfg.tierNames()...); err != nil {
		var pe *policy.Error
		if errors.As(err, &pe) {
			l.problems = append(l.problems, pe.Problems...)
		}
	}
}

func (l *loader) checkServer(s *Server) {
	at := func(name string) int { return l.file["server."+name].line }
	switch {
	case (s.TLSCert == "") != (s.TLSKey == ""):
		l.bad(at("tls_cert"), "server.tls_cert", "and tls_key go together")
	case s.TLSClientCA != "" && s.TLSCert == "":
		l.bad(at("tls_client_ca"), "server.tls_client_ca", "needs tls_cert and tls_key")
	}
	if s.User != "" && s.Password == "" {
		l.bad(at("user"), "server.user", "needs a password")
	}
	if s.Pprof && s.HTTP == "" {
		l.bad(at("pprof"), "server.pprof", "needs server.http, the address")
	}
	if s.MaxRequest < 1024 || s.MaxRequest > 512<<20 {
		l.bad(at("max_request"), "server.max_request", "is not between 1KiB and 512MiB")
	}
}

// chooseServer drops the weaker one of url and host.
func (l *loader) chooseServer(r *Redis) {
	url, host := l.level["tiers.redis.url"], l.level["tiers.redis.host"]
	r.ownDB = l.level["tiers.redis.db"] > fromDefault
	switch {
	case r.URL == "" || r.Host == "":
	case url > host:
		r.Host = ""
	case host > url:
		r.URL = ""
	default:
		l.bad(l.file["tiers.redis.host"].line, "tiers.redis.host", "and url both name the server: leave one out")
	}
}

// checkRule refuses tiers that can never exist: those that are merely not
// configured here are left out later.
func (l *loader) checkRule(cfg *Config, rule *policy.Rule) {
	known := func(name string) bool { return name == memoryTier || name == redisTier || name == diskTier }
	for _, name := range rule.Tiers {
		if !known(name) {
			l.bad(rule.Line(), rule.Keys.String()+": tiers", "there is no tier %q: there are memory, redis and disk", name)
		}
	}
	for name := range rule.TierTTL {
		if !known(name) {
			l.bad(rule.Line(), rule.Keys.String()+": tier_ttl", "there is no tier %q: there are memory, redis and disk", name)
		}
	}
	if rule.Encrypt != "" && cfg.Keyrings[rule.Encrypt] == nil {
		l.bad(rule.Line(), rule.Keys.String()+": encrypt", "there is no key ring %q under keyrings", rule.Encrypt)
	}
	if rule.Durable && cfg.Chain.Journal == "" {
		l.bad(rule.Line(), rule.Keys.String()+": durable", "needs chain.journal, the directory that keeps the writes")
	}
}
