package policy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxDuration keeps sums of durations and their addition to a date of this
// century far from overflow.
const maxDuration = 100 * 365 * 24 * time.Hour

var errUnit = errors.New(`needs a unit, as in "90s", "5m", "4h" or "7d"`)

// parseDuration reads Go's form with optional leading weeks and days.
func parseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	if s == "" {
		return 0, errUnit
	}
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return 0, fmt.Errorf("%q %w", s, errUnit)
	}
	if s[0] == '-' {
		return 0, fmt.Errorf("%q is negative", s)
	}
	var total time.Duration
	rest := s
	for _, u := range []struct {
		suffix string
		len    time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		head, after, ok := strings.Cut(rest, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(head, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q is not a duration", s)
		}
		if n > uint64(maxDuration/u.len) {
			return 0, fmt.Errorf("%q is longer than 100 years", s)
		}
		total += time.Duration(n) * u.len
		rest = after
	}
	if rest != "" {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 {
			return 0, fmt.Errorf("%q is not a duration", s)
		}
		if d > maxDuration {
			return 0, fmt.Errorf("%q is longer than 100 years", s)
		}
		total += d
	}
	if total > maxDuration {
		return 0, fmt.Errorf("%q is longer than 100 years", s)
	}
	return total, nil
}
