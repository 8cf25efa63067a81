package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/config"
	"github.com/stratacache/strata/internal/serve"
)

func (a *app) serveCommand() *cobra.Command {
	var addr, http string
	jsonLog := false
	c := &cobra.Command{
		Use: "serve", Short: "Put the tiers behind the Redis protocol",
		Long: `Put the tiers of the configuration behind the Redis protocol, so that Redis
clients use them unchanged. Without a configuration, values are in memory only;
with --dir they are on disk too, and survive a restart. Keys that a rule matches
get its time to live unless they are set with one.

SIGTERM and SIGINT stop accepting, answer what has arrived, and write what is
pending; a second one ends at once.`,
		Args: between(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if addr != "" {
				cfg.Server.Addr = addr
			}
			if http != "" {
				cfg.Server.HTTP = http
			}
			d := &daemon{app: a, cfg: cfg, log: a.logger(jsonLog)}
			return fail(d.run(cmd.Context()))
		},
	}
	c.Flags().StringVar(&addr, "addr", "", "`address` to listen on (default: server.addr of the configuration, 127.0.0.1:6379)")
	c.Flags().StringVar(&http, "http", "", "`address` of /metrics, /healthz and /readyz (default: server.http)")
	c.Flags().BoolVar(&jsonLog, "json-log", false, "log JSON")
	return c
}

func (a *app) logger(asJSON bool) *slog.Logger {
	if asJSON {
		return slog.New(slog.NewJSONHandler(a.err, nil))
	}
	return slog.New(slog.NewTextHandler(a.err, nil))
}

// daemon is a running `strata serve`.
type daemon struct {
	*app
	cfg    *config.Config
	log    *slog.Logger
	chain  *chain.Chain
	server *serve.Server

	stopping context.Context // ends when a signal has come
}

// The collector of garbage is let wait until there is some: what it is for are the
// requests under way, for values are packed. The ballast is address space that is
// never touched and so takes no memory; it makes the collector's measure of what
// lives no less than that.
const (
	ballastSize    = 32 << 20
	collectorShare = 50 // garbage, in percent of what lives
)

// processors returns how many processors a server of memory alone makes do with: all
// but one. A request costs less there than waking a second thread for it, and
// threads that look for work take the time of the clients and the kernel. What
// works in the background, as a disk does, is not to wait behind requests; and what
// was asked for, or a container's share, stands.
func processors(cfg *config.Config, env func(string) (string, bool)) (n int, ok bool) {
	if _, set := env("GOMAXPROCS"); set || cfg.Tiers.Disk.Configured() || cfg.Tiers.Redis.Configured() {
		return 0, false
	}
	n = runtime.NumCPU()
	return n - 1, n > 1 && runtime.GOMAXPROCS(0) == n
}

// run serves until ctx ends, which is what a signal does.
func (d *daemon) run(ctx context.Context) (err error) {
	if _, set := d.env("GOGC"); !set {
		debug.SetGCPercent(collectorShare)
		ballast := make([]byte, ballastSize)
		defer runtime.KeepAlive(ballast)
	}
	if n, ok := processors(d.cfg, d.env); ok {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
	}
	d.stopping = ctx
	if m := &d.cfg.Tiers.Memory; m.Engine == config.EngineAuto {
		m.Engine = config.EnginePacked // what a server holds is bytes
	}
	d.cfg.Logger = d.log
	opts, err := d.options()
	if err != nil {
		return err
	}
	if d.chain, err = d.cfg.Build(ctx); err != nil {
		return err
	}
	defer func() {
		cctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.Server.DrainTimeout)
		defer cancel()
		err = errors.Join(err, d.chain.Close(cctx))
	}()
	if d.server, err = serve.New(d.chain, opts); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", d.cfg.Server.Addr)
	if err != nil {
		return errors.Join(err, d.server.Shutdown(ctx))
	}
	stopHTTP, err := d.listenHTTP()
	if err != nil {
		return errors.Join(err, ln.Close(), d.server.Shutdown(ctx))
	}
	defer stopHTTP()
	d.warn(ln.Addr())
	d.log.Info("strata: listening", "addr", ln.Addr().String(), "tls", opts.TLS != nil, "version", thisVersion().Version)
	done := make(chan error, 1)
	go func() { done <- d.server.Serve(ln) }()
	select {
	case err = <-done:
		return errors.Join(err, d.server.Shutdown(ctx))
	case <-ctx.Done():
	}
	d.log.Info("strata: stopping")
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.Server.DrainTimeout)
	defer cancel()
	if err := d.server.Shutdown(sctx); err != nil {
		d.log.Warn("strata: clients were cut off", "error", err)
	}
	if err := <-done; !errors.Is(err, serve.ErrServerClosed) {
		return err
	}
	return nil
}

// warn says what is unsafe about where the server listens.
func (d *daemon) warn(addr net.Addr) {
	tcp, ok := addr.(*net.TCPAddr)
	if ok && !tcp.IP.IsLoopback() && d.cfg.Server.Password == "" && d.cfg.Server.TLSClientCA == "" {
		d.log.Warn("strata: whoever reaches this address can read and write everything: set server.password", "addr", addr.String())
	}
}

func (d *daemon) options() (*serve.Options, error) {
	s := &d.cfg.Server
	opts := &serve.Options{
		User: s.User, Password: string(s.Password),
		MaxClients: s.MaxClients, MaxRequest: int(s.MaxRequest), MaxQueued: s.MaxQueued,
		IdleTimeout: s.IdleTimeout, Logger: d.log,
	}
	if s.TLSCert == "" {
		return opts, nil
	}
	cert, err := tls.LoadX509KeyPair(s.TLSCert, s.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("server.tls_cert: %w", err)
	}
	opts.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if s.TLSClientCA != "" {
		pem, err := os.ReadFile(s.TLSClientCA)
		if err != nil {
			return nil, fmt.Errorf("server.tls_client_ca: %w", err)
		}
		opts.TLS.ClientCAs = x509.NewCertPool()
		if !opts.TLS.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("server.tls_client_ca: no certificate in %s", s.TLSClientCA)
		}
		opts.TLS.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return opts, nil
}

// httpTimeout bounds a request for metrics.
const httpTimeout = 10 * time.Second
