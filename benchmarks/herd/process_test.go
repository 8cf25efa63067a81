package herd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/benchmarks/caches"
)

// childEnv holds, in a child process, what it is to be.
const childEnv = "STRATA_BENCH_HERD"

// loadTakes is how long a load takes where two processes rush.
const loadTakes = 5 * time.Millisecond

// orders say which cache a process opens.
type orders struct {
	Name    string
	Addr    string
	Callers int
}

// half is one of the two processes' caches.
type half struct {
	cache   *caches.Shared
	source  *source
	callers int
}

func (o orders) open() (*half, error) {
	for _, m := range caches.AllShared() {
		if m.Name != o.Name {
			continue
		}
		src := &source{takes: loadTakes}
		c, err := m.Open(&caches.SharedConfig{Addr: o.Addr, Entries: 100_000, Loader: src.load})
		return &half{c, src, o.Callers}, err
	}
	return nil, fmt.Errorf("there is no cache %q", o.Name)
}

func (h *half) close() { h.cache.Close() }

func (h *half) rush(key string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return rush(h.callers, key, func(key string) (string, error) { return h.cache.Load(ctx, key) })
}

// process is the other half, in a process of its own.
type process struct {
	in  io.Writer
	out *bufio.Scanner
}

func start(tb testing.TB, o orders) *process {
	tb.Helper()
	config, err := json.Marshal(o)
	if err != nil {
		tb.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+string(config))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = in.Close() // it ends then
		_ = cmd.Wait()
	})
	p := &process{in, bufio.NewScanner(out)}
	if _, err := p.read(); err != nil { // it is up
		tb.Fatal(err)
	}
	return p
}

// read returns the loads that the process had to do for its last order.
func (p *process) read() (int64, error) {
	if !p.out.Scan() {
		return 0, fmt.Errorf("the other process is gone: %w", errors.Join(io.ErrUnexpectedEOF, p.out.Err()))
	}
	word, text, _ := strings.Cut(p.out.Text(), " ")
	if word != "loads" {
		return 0, fmt.Errorf("the other process: %s", p.out.Text())
	}
	return strconv.ParseInt(text, 10, 64)
}

// both rush on a key in both processes, and count all loads here.
func both(here *half, there *process, key string) error {
	if _, err := fmt.Fprintln(there.in, key); err != nil {
		return err
	}
	err := here.rush(key)
	n, otherErr := there.read()
	here.source.loads.Add(n)
	if err == nil {
		err = otherErr
	}
	return err
}

// child is the life of the other process.
func child(config string, in io.Reader, out io.Writer) error {
	var o orders
	if err := json.Unmarshal([]byte(config), &o); err != nil {
		return err
	}
	h, err := o.open()
	if err != nil {
		return err
	}
	defer h.close()
	fmt.Fprintln(out, "loads 0")
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if err := h.rush(lines.Text()); err != nil {
			fmt.Fprintln(out, "error", err)
			continue
		}
		fmt.Fprintln(out, "loads", h.source.loads.Swap(0))
	}
	return lines.Err()
}
