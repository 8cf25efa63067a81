package store

import (
	"errors"
	"fmt"
	"strings"
)

// The errors that callers test for with errors.Is.
var (
	// ErrNotFound: the key is absent or expired. It is returned bare.
	ErrNotFound = errors.New("strata: not found")
	// ErrClosed: the store, chain or cache was closed.
	ErrClosed = errors.New("strata: closed")
	// ErrTooLarge: the key or value exceeds a limit of the tier.
	ErrTooLarge = errors.New("strata: too large")
	// ErrLocked: another process holds the directory.
	ErrLocked = errors.New("strata: locked by another process")
	// ErrCorrupt: stored bytes failed their check. The data was not returned.
	ErrCorrupt = errors.New("strata: corrupt data")
	// ErrInvalidKey: the key is empty or not acceptable to the tier.
	ErrInvalidKey = errors.New("strata: invalid key")
)

// Error describes a failed operation of a tier. It is the type of every error
// of a store that is not ErrNotFound.
type Error struct {
	Op   string // "get", "set", "delete", "scan", "open", ...
	Tier string // the tier's kind or configured name: "redis", "disk", ...
	Key  string // empty where the operation has no single key
	Err  error
}

// Error implements error. Long keys are cut: the message is for people.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("strata: ")
	b.WriteString(e.Tier)
	b.WriteByte(' ')
	b.WriteString(e.Op)
	if e.Key != "" {
		k := e.Key
		if len(k) > 80 {
			k = k[:77] + "..."
		}
		fmt.Fprintf(&b, " %q", k)
	}
	b.WriteString(": ")
	if e.Err == nil {
		b.WriteString("unknown error")
	} else {
		b.WriteString(strings.TrimPrefix(e.Err.Error(), "strata: "))
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// BatchError reports the keys of a batch that failed. Keys that are not in it
// were answered. A batch function that returns any other error than a
// *BatchError failed as a whole for every key it returned nothing for.
type BatchError struct {
	Errs map[string]error // never empty
}

// Error implements error with the number of failures and one example: that of
// the smallest key, so that the message is stable.
func (e *BatchError) Error() string {
	first := ""
	for k := range e.Errs {
		if first == "" || k < first {
			first = k
		}
	}
	return fmt.Sprintf("strata: %d keys of the batch failed, among them %q: %v", len(e.Errs), first, e.Errs[first])
}

// Unwrap returns the failures, in no particular order.
func (e *BatchError) Unwrap() []error {
	errs := make([]error, 0, len(e.Errs))
	for _, err := range e.Errs {
		errs = append(errs, err)
	}
	return errs
}

// Add records err for key in e, which may be nil, and returns e.
func (e *BatchError) Add(key string, err error) *BatchError {
	if e == nil {
		e = &BatchError{Errs: make(map[string]error)}
	}
	e.Errs[key] = err
	return e
}

// ErrOrNil returns e as an error, and an untyped nil where e is nil.
func (e *BatchError) ErrOrNil() error {
	if e == nil || len(e.Errs) == 0 {
		return nil
	}
	return e
}

// KeyError returns the error of one key in the error of a batch: nil if the
// batch answered for the key.
func KeyError(err error, key string) error {
	if err == nil {
		return nil
	}
	var be *BatchError
	if errors.As(err, &be) {
		return be.Errs[key]
	}
	return err
}
