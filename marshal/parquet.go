package marshal

import (
	"fmt"

	"github.com/stratacache/strata/marshal/parquet"
)

// Parquet is the codec of tables: slices of structs with fields that are
// columns, as package parquet describes them, with its default options. For
// others, and to read single columns or ranges of rows, make the codec there.
func Parquet[V any]() (Codec[V], error) {
	c, err := parquet.New[V](nil)
	if err != nil {
		return nil, fmt.Errorf("marshal: %w", err)
	}
	return c, nil
}
