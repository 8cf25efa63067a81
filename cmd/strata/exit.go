package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/stratacache/strata/config"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore"
)

// The exit codes.
const (
	exitOK       = 0
	exitFailed   = 1 // something failed
	exitUsage    = 2 // the command line or the configuration is wrong
	exitNotFound = 3 // there is no such key or rule
)

// failure is an error of a command that ran. Any other error is one of usage.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func fail(err error) error {
	if err == nil {
		return nil
	}
	return &failure{exitFailed, err}
}

func usage(format string, args ...any) error {
	return &failure{exitUsage, fmt.Errorf(format, args...)}
}

// run executes a command line and returns the exit code.
func run(ctx context.Context, a *app, args []string) int {
	root := a.root()
	root.SetArgs(append([]string{}, args...)) // cobra takes nil for os.Args
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	addCompletion(root)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	for _, line := range lines(command.CommandPath(), err) {
		fmt.Fprintf(a.err, "strata: %s\n", short(line))
	}
	var f *failure
	if errors.As(err, &f) {
		return f.code
	}
	return exitUsage
}

// maxLine is how many bytes of an error are shown: it may quote a key or a file.
const maxLine = 600

// short leaves out the middle of a line that is too long, for what happened stands
// at either end.
func short(line string) string {
	if len(line) <= maxLine {
		return line
	}
	return strings.ToValidUTF8(line[:maxLine/2], "") + " ... " + strings.ToValidUTF8(line[len(line)-maxLine/2:], "")
}

// lines returns what to say about an error of a command, each on one line.
func lines(command string, err error) []string {
	var ce *config.Error
	if errors.As(err, &ce) {
		return ce.Lines()
	}
	var pe *policy.Error
	if errors.As(err, &pe) {
		out := make([]string, len(pe.Problems))
		for i, p := range pe.Problems {
			out[i] = p.String()
		}
		return out
	}
	var f *failure
	msg := advised(err)
	if !errors.As(err, &f) {
		msg += " (see " + command + " --help)"
	}
	msg = strings.TrimPrefix(strings.TrimPrefix(msg, "config: "), "strata: ")
	return []string{strings.ReplaceAll(msg, "\n", "; ")}
}

// advised returns an error's text with what to do about it.
func advised(err error) string {
	msg, what := err.Error(), hint(err)
	if what == "" {
		return msg
	}
	return strings.TrimSuffix(msg, ".") + ": " + what
}

// hint says what to do about an error, where that is known.
func hint(err error) string {
	var addr *net.AddrError
	switch {
	case errors.Is(err, store.ErrLocked):
		return "stop the program that has the directory open, or write through it"
	case errors.Is(err, context.DeadlineExceeded):
		return "give it longer with --timeout, and see that the server is the right one (rediss:// wants one that speaks TLS)"
	case errors.Is(err, store.ErrInvalidKey):
		return "a key is not empty, and does not begin with __strata:"
	case errors.Is(err, store.ErrTooLarge):
		return fmt.Sprintf("a key has at most %d bytes on a disk, and tiers.disk.max_value and tiers.redis.max_value bound a value", diskstore.MaxKey)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: start it, or name another address"
	case errors.Is(err, syscall.EADDRINUSE):
		return "stop the program that has it, or name another with --addr"
	case errors.As(err, &addr) && addr.Err == "missing port in address":
		return "give HOST:PORT"
	case strings.Contains(err.Error(), "NOAUTH"), strings.Contains(err.Error(), "WRONGPASS"):
		if errors.As(err, new(*store.Error)) { // of a tier, not of --addr
			return "set REDIS_PASSWORD, or tiers.redis.password, to that of Redis (REDIS_USERNAME, tiers.redis.username: the ACL user)"
		}
		return "set STRATA_SERVER_PASSWORD, or server.password, to the server's"
	}
	return ""
}

// readFile reads a file up to a limit: a device has no end.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s is larger than %d MiB", path, limit>>20)
	}
	return b, err
}

// readAll reads standard input up to a limit that keeps a mistake from filling
// memory.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("the value is larger than %d MiB", limit>>20)
	}
	return b, err
}
