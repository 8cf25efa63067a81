package redistest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// startTimeout is how long a server may take to answer its first PING; race
// builds on busy machines need seconds.
const startTimeout = 30 * time.Second

// process is one run of a server program.
type process struct {
	cmd    *exec.Cmd
	out    logBuffer
	exited chan struct{} // closed once Wait returned
}

// launch starts the program and returns once it answers on addr as up wants. errExited
// is returned where it exits before that, as it does when another program took
// the port meanwhile.
func launch(binary, addr string, args []string, up func(string) error) (*process, error) {
	p := &process{cmd: exec.Command(binary, args...), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	dieWithParent(p.cmd)
	started := make(chan error)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, err
	}
	if err := p.awaitPing(addr, up); err != nil {
		p.kill()
		return nil, fmt.Errorf("%w; its output:\n%s", err, p.out.String())
	}
	return p, nil
}

// run owns the process. It keeps its OS thread, because Linux sends the parent
// death signal when the *thread* that forked ends.
func (p *process) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.exited)
	err := p.cmd.Start()
	started <- err
	if err == nil {
		_ = p.cmd.Wait() // killed on purpose: its status tells nothing
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // already gone: nothing to do
	<-p.exited
}

var errExited = errors.New("redistest: the server exited at once")

func (p *process) awaitPing(addr string, up func(string) error) error {
	deadline := time.Now().Add(startTimeout)
	var last error
	for time.Now().Before(deadline) {
		if last = ping(addr, up); last == nil {
			return nil
		}
		select {
		case <-p.exited:
			return errExited
		case <-time.After(5 * time.Millisecond):
		}
	}
	return fmt.Errorf("redistest: no answer after %v: %w", startTimeout, last)
}

// ping asks by hand, so that a server that wants a password counts as up.
func ping(addr string, up func(string) error) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	return up(line)
}

// works takes the replies of a server that is ready.
func works(reply string) error {
	if strings.HasPrefix(reply, "-LOADING") {
		return errors.New(strings.TrimSpace(reply))
	}
	return nil
}

// answers takes every reply.
func answers(string) error { return nil }

// freeAddr returns a loopback address whose port was free a moment ago.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	addr := l.Addr().String()
	return addr, l.Close()
}

// logBuffer keeps the end of the server's output.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf.Len() > 64<<10 {
		b.buf.Reset()
	}
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func signal(p *process, s os.Signal) error { return p.cmd.Process.Signal(s) }
