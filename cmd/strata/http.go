package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/stratacache/strata/internal/serve"
	"github.com/stratacache/strata/observe/prom"
)

// listenHTTP serves metrics and health, where an address is given, until stop is
// called.
func (d *daemon) listenHTTP() (stop func(), err error) {
	if d.cfg.Server.HTTP == "" {
		return func() {}, nil
	}
	reg := prometheus.NewRegistry()
	if _, err := prom.Register(reg, d.chain, nil); err != nil {
		return nil, err
	}
	for _, c := range []prometheus.Collector{serverMetrics{d.server}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	ready := new(atomic.Bool)
	ready.Store(true)
	ln, err := net.Listen("tcp", d.cfg.Server.HTTP)
	if err != nil {
		return nil, err
	}
	srv := &http.Server{Handler: mux(reg, ready, d.cfg.Server.Pprof), ReadHeaderTimeout: httpTimeout}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("strata: the HTTP server ended", "error", err)
		}
	}()
	d.log.Info("strata: metrics", "addr", ln.Addr().String())
	unready := context.AfterFunc(d.stopping, func() { ready.Store(false) })
	return func() {
		unready()
		_ = srv.Close()
		<-done
	}, nil
}

// mux answers for metrics, health and, if asked to, profiles.
func mux(reg *prometheus.Registry, ready *atomic.Bool, profiles bool) *http.ServeMux {
	m := http.NewServeMux()
	m.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{Timeout: httpTimeout}))
	m.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	m.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			http.Error(w, "stopping", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	if profiles {
		m.HandleFunc("/debug/pprof/", pprof.Index)
		m.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		m.HandleFunc("/debug/pprof/profile", pprof.Profile)
		m.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		m.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return m
}

// serverMetrics exports the counters of a server.
type serverMetrics struct{ s *serve.Server }

// serverMetric is one of them.
type serverMetric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*serve.Stats) float64
}

func serverMetricList() []serverMetric {
	one := func(name, help string, kind prometheus.ValueType, of func(*serve.Stats) float64) serverMetric {
		return serverMetric{prometheus.NewDesc("strata_server_"+name, help, nil, nil), kind, of}
	}
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	return []serverMetric{
		one("clients", "Connections now.", gauge, func(s *serve.Stats) float64 { return float64(s.Clients) }),
		one("subscribers", "Connections that listen to a channel.", gauge, func(s *serve.Stats) float64 { return float64(s.Subscribers) }),
		one("connections_total", "Connections accepted.", counter, func(s *serve.Stats) float64 { return float64(s.Accepted) }),
		one("refused_total", "Connections beyond server.max_clients.", counter, func(s *serve.Stats) float64 { return float64(s.Refused) }),
		one("commands_total", "Commands received.", counter, func(s *serve.Stats) float64 { return float64(s.Commands) }),
		one("errors_total", "Commands answered with an error.", counter, func(s *serve.Stats) float64 { return float64(s.Failures) }),
		one("hits_total", "Reads of a key that is there.", counter, func(s *serve.Stats) float64 { return float64(s.Hits) }),
		one("misses_total", "Reads of a key that is not there.", counter, func(s *serve.Stats) float64 { return float64(s.Misses) }),
		one("published_total", "Messages published.", counter, func(s *serve.Stats) float64 { return float64(s.Published) }),
	}
}

// Describe implements prometheus.Collector.
func (m serverMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, one := range serverMetricList() {
		ch <- one.desc
	}
}

// Collect implements prometheus.Collector.
func (m serverMetrics) Collect(ch chan<- prometheus.Metric) {
	st := m.s.Stats()
	for _, one := range serverMetricList() {
		ch <- prometheus.MustNewConstMetric(one.desc, one.kind, one.of(&st))
	}
}
