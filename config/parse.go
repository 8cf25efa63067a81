package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// units of sizes, longest suffix first.
var units = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"B", 1}, {"", 1},
}

// parseSize reads a number of bytes: "64MiB", "1.5GB", "1048576".
func parseSize(s string) (any, error) {
	for _, u := range units {
		head, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(head), 64)
		if err != nil || math.IsNaN(v) {
			break
		}
		if v *= float64(u.bytes); v < 0 || v >= math.MaxInt64 {
			return nil, fmt.Errorf("%q is out of range", s)
		}
		return int64(v), nil
	}
	return nil, fmt.Errorf("%q is not a size, as in 64MiB or 10GB", s)
}

func parseDuration(s string) (any, error) {
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q is not a duration, as in 250ms, 5m or 4h", s)
	case d < 0:
		return nil, fmt.Errorf("%q is negative", s)
	}
	return d, nil
}

// parseTTL is parseDuration with "never", which is negative.
func parseTTL(s string) (any, error) {
	if s == "never" {
		return time.Duration(-1), nil
	}
	return parseDuration(s)
}

func parseBool(s string) (any, error) {
	switch strings.ToLower(s) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return nil, fmt.Errorf("%q is neither true nor false", s)
}

func parseText(s string) (any, error) { return s, nil }

// parseSecret never fails: what it fails on would be in the error.
func parseSecret(s string) (any, error) { return Secret(s), nil }

// count reads a whole number between lo and hi.
func count(lo, hi int) func(string) (any, error) {
	return func(s string) (any, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < lo || n > hi {
			return nil, fmt.Errorf("%q is not a number between %d and %d", s, lo, hi)
		}
		return n, nil
	}
}

func oneOf(words ...string) func(string) (any, error) {
	return func(s string) (any, error) {
		for _, w := range words {
			if s == w {
				return s, nil
			}
		}
		return nil, fmt.Errorf("%q is none of %s", s, strings.Join(words, ", "))
	}
}

var errNoValue = errors.New("has no value")
