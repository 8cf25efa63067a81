package gocachestore

import (
	"context"
	"fmt"
	"unicode/utf8"
)

// call runs f beside the caller, who leaves when ctx ends: most gocache stores
// ignore contexts. A panic of f, such as the failed type assertion of a store
// whose values have another type, is an error.
func call[T any](ctx context.Context, f func() (T, error)) (T, error) {
	if ctx.Done() == nil {
		var v T
		err := shielded(func() (err error) { v, err = f(); return err })
		return v, err
	}
	type result struct {
		value T
		err   error
	}
	results := make(chan result, 1)
	go func() {
		var r result
		r.err = shielded(func() (err error) { r.value, err = f(); return err })
		results <- r
	}()
	select {
	case r := <-results:
		return r.value, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-results: // both at once: an answer is better
		return r.value, r.err
	default:
		var zero T
		return zero, ctx.Err()
	}
}

func shielded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the gocache store panicked: %v", p)
		}
	}()
	return shorten(f())
}

// maxErrorText bounds the text of errors: gocache's store on ristretto puts the
// whole value into its own.
const maxErrorText = 200

func shorten(err error) error {
	if err == nil || len(err.Error()) <= maxErrorText {
		return err
	}
	return &longError{err}
}

// longError is an error whose text is cut.
type longError struct{ err error }

func (e *longError) Error() string {
	text := e.err.Error()[:maxErrorText]
	for !utf8.ValidString(text) && len(text) > maxErrorText-utf8.UTFMax {
		text = text[:len(text)-1]
	}
	return text + "..."
}

func (e *longError) Unwrap() error { return e.err }
