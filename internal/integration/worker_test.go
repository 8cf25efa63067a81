package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/redistest"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore"
	"github.com/stratacache/strata/store/memstore"
	"github.com/stratacache/strata/store/redisstore"
)

// workerEnv holds, in a child process, the settings of the worker it is to be.
const workerEnv = "STRATA_TEST_WORKER"

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{})
	if s := os.Getenv(workerEnv); s != "" {
		if err := work(s, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	redistest.VerifyMain(m)
}

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// leaseTTL is how long the lease of a dead worker holds up the others.
const leaseTTL = 2 * time.Second

// settings are those of a worker.
type settings struct {
	Redis  string // address
	Prefix string
	Dir    string // of the disk tier; empty: none
}

// order is what a worker is told to do, and answer what came of it.
type order struct {
	Op    string            `json:"op"` // set, get, delete, setmany, load, follow, missed, flush, close
	Key   string            `json:"key,omitempty"`
	Value string            `json:"value,omitempty"`
	Many  map[string]string `json:"many,omitempty"`
}

type answer struct {
	Value  string `json:"value,omitempty"`
	Absent bool   `json:"absent,omitempty"`
	Err    string `json:"err,omitempty"`
}

// openChain opens memory, Redis and, where a directory is given, disk.
func openChain(s settings) (*chain.Chain, error) {
	memory, err := memstore.New(nil)
	if err != nil {
		return nil, err
	}
	shared, err := redisstore.Connect(&redisstore.Config{Addrs: []string{s.Redis}}, &redisstore.Options{Prefix: s.Prefix})
	if err != nil {
		return nil, err
	}
	tiers := []chain.Tier{{Name: "memory", Store: memory}, {Name: "redis", Store: shared, Shared: true}}
	if s.Dir != "" {
		disk, err := diskstore.Open(s.Dir, nil)
		if err != nil {
			return nil, err
		}
		tiers = append(tiers, chain.Tier{Name: "disk", Store: disk})
	}
	feed, err := shared.Feed(&redisstore.FeedOptions{Block: 200 * time.Millisecond, Probe: time.Second})
	if err != nil {
		return nil, err
	}
	rules, err := policy.New(policy.Rule{Keys: policy.MustPattern("leased:{id}"), TTL: time.Hour, Lease: leaseTTL})
	if err != nil {
		return nil, err
	}
	return chain.New(tiers, rules, &chain.Options{Feed: feed, DefaultTTL: time.Hour})
}

// work is the whole life of a worker process.
func work(config string, in io.Reader, out io.Writer) error {
	var s settings
	if err := json.Unmarshal([]byte(config), &s); err != nil {
		return err
	}
	c, err := openChain(s)
	if err != nil {
		return err
	}
	cache := chain.NewCache[string](c, nil)
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<20)
	enc := json.NewEncoder(out)
	for lines.Scan() {
		var o order
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			return err
		}
		if err := enc.Encode(obey(cache, o, s)); err != nil {
			return err
		}
	}
	return lines.Err()
}

// load is a slow source that counts its calls in Redis, and can be told to hang.
func load(s settings, o order) func(context.Context, string) (string, error) {
	return func(ctx context.Context, key string) (string, error) {
		c := redis.NewClient(&redis.Options{Addr: s.Redis, ContextTimeoutEnabled: true})
		defer c.Close()
		n, err := c.Incr(ctx, "loads:"+key).Result()
		if err != nil {
			return "", err
		}
		if o.Value == "hang" {
			<-ctx.Done()
			return "", ctx.Err()
		}
		time.Sleep(300 * time.Millisecond)
		return fmt.Sprint("loaded ", n), nil
	}
}

func obey(cache *chain.Cache[string], o order, s settings) answer {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var a answer
	var err error
	switch o.Op {
	case "set":
		err = cache.Set(ctx, o.Key, o.Value)
	case "setmany":
		err = cache.SetMany(ctx, o.Many)
	case "delete":
		err = cache.Delete(ctx, o.Key)
	case "get":
		a.Value, err = cache.Get(ctx, o.Key)
	case "load":
		a.Value, err = cache.GetOrLoad(ctx, o.Key, load(s, o))
	case "follow": // waits until the worker does
		for !cache.Chain().Stats().Feed.Following && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		err = ctx.Err()
	case "missed": // how often all that the worker held has become suspect
		a.Value = fmt.Sprint(cache.Chain().Stats().Feed.Missed)
	case "flush":
		err = cache.Chain().Flush(ctx)
	case "close":
		err = cache.Chain().Close(ctx)
	default:
		err = fmt.Errorf("unknown order %q", o.Op)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		a.Absent = true
	case err != nil:
		a.Err = err.Error()
	}
	return a
}

// worker is a child process with a chain of its own.
type worker struct {
	t   *testing.T
	mu  sync.Mutex
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startWorker(t *testing.T, s settings) *worker {
	t.Helper()
	config, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{t: t, cmd: exec.Command(os.Args[0], "-test.run=^$")}
	w.cmd.Env = append(os.Environ(), workerEnv+"="+string(config))
	w.cmd.Stderr = os.Stderr
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	w.out = bufio.NewReader(out)
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.in.Close()
		_ = w.cmd.Process.Kill()
		_ = w.cmd.Wait()
	})
	return w
}

// do gives the worker an order and waits for its answer.
func (w *worker) do(o order) answer {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.send(o)
	line, err := w.out.ReadBytes('\n')
	if err != nil {
		w.t.Fatalf("worker: %v", err)
	}
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		w.t.Fatalf("worker said %q: %v", line, err)
	}
	return a
}

// send gives the worker an order without waiting for its answer.
func (w *worker) send(o order) {
	w.t.Helper()
	line, err := json.Marshal(o)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.in.Write(append(line, '\n')); err != nil {
		w.t.Fatalf("worker: %v", err)
	}
}

func (w *worker) must(o order) {
	w.t.Helper()
	if a := w.do(o); a.Err != "" || a.Absent {
		w.t.Fatalf("%s %s: %+v", o.Op, o.Key, a)
	}
}

func (w *worker) get(key string) string {
	w.t.Helper()
	a := w.do(order{Op: "get", Key: key})
	if a.Err != "" {
		w.t.Fatalf("get %s: %s", key, a.Err)
	}
	return a.Value
}

// until waits until key has the value in this worker.
func (w *worker) until(key, want string) time.Duration {
	w.t.Helper()
	began := time.Now()
	for time.Since(began) < 30*time.Second {
		if w.do(order{Op: "get", Key: key}).Value == want {
			return time.Since(began)
		}
		time.Sleep(time.Millisecond)
	}
	w.t.Fatalf("the worker does not come to see %s = %q", key, want)
	return 0
}
