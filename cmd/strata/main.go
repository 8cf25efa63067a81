package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	redis.SetLogger(silent{})
	code := run(ctx, &app{env: os.LookupEnv, in: os.Stdin, out: os.Stdout, err: os.Stderr}, os.Args[1:])
	stop()
	os.Exit(code)
}

// silent keeps go-redis from writing between the output: what fails is in the
// commands' own errors.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// app is what a command has to do with the world.
type app struct {
	env      func(string) (string, bool)
	in       io.Reader
	out, err io.Writer

	configPath string
	dir        string
	json       bool
}
