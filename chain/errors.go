package chain

import "fmt"

// PanicError is what callers get when a loader panicked, or what else the user
// plugs in: a Clone or Size function, an observer.
type PanicError struct {
	Key   string
	Value any    // what was passed to panic
	Stack []byte // of the goroutine that panicked
}

// Error implements error; the stack is left to those who want it.
func (e *PanicError) Error() string {
	return fmt.Sprintf("strata: panic while %q was loaded: %v", e.Key, e.Value)
}

// Unwrap returns the panic's value where it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
