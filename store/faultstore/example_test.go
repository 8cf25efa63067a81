package faultstore_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stratacache/strata/internal/mapstore"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/faultstore"
)

// A tier that refuses connections for three calls, and is then slow.
func ExampleNew() {
	ctx := context.Background()
	f := faultstore.New(mapstore.New())
	_ = f.Set(ctx, "price:AAPL", store.Entry{Value: []byte("190.5")})

	f.Inject(
		faultstore.Fault{Op: faultstore.OpReads, Times: 3, Err: errors.New("connection refused")},
		faultstore.Fault{Op: faultstore.OpReads, Skip: 3, Delay: time.Millisecond},
	)
	for range 4 {
		e, err := f.Get(ctx, "price:AAPL")
		fmt.Println(string(e.Value), err)
	}
	fmt.Println(f.Calls(faultstore.OpGet), "calls")
	// Output:
	//  strata: faultstore get "price:AAPL": connection refused
	//  strata: faultstore get "price:AAPL": connection refused
	//  strata: faultstore get "price:AAPL": connection refused
	// 190.5 <nil>
	// 4 calls
}

// NewObjects wraps a tier that holds decoded values; a fault makes its reads
// misses.
func ExampleNewObjects() {
	f := faultstore.NewObjects(&objectMap{mapstore.New(), map[string]any{}})
	_ = f.SetObject("k", "decoded", 16, time.Time{})
	f.Inject(faultstore.Fault{Op: faultstore.OpGet, Times: 1, Err: errors.New("dropped")})
	_, first := f.GetObject("k")
	_, second := f.GetObject("k")
	fmt.Println(first, second)
	// Output: false true
}
