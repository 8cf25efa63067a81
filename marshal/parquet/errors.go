package parquet

import (
	"errors"
	"fmt"

	"github.com/stratacache/strata/store"
)

// ErrMismatch is in the chain of the errors of files that are sound but do not
// fit the type: a column of another type, a null or a number that the field
// cannot hold, or no column in common.
var ErrMismatch = errors.New("the file does not fit the type")

// ErrUnsupported is in the chain of the errors of files that use a compression,
// encoding or type which this package does not read.
var ErrUnsupported = errors.New("not supported")

// damaged describes a file that breaks the format. It wraps store.ErrCorrupt.
func damaged(format string, args ...any) error {
	return fmt.Errorf("parquet: %s: %w", fmt.Sprintf(format, args...), store.ErrCorrupt)
}

// errBudget reports a file that would take more memory than its size allows.
var errBudget = fmt.Errorf("parquet: the file expands beyond Options.MaxExpansion: %w", store.ErrTooLarge)
