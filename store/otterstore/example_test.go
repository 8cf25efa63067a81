package otterstore_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/otterstore"
)

func ExampleNew() {
	s, err := otterstore.New(&otterstore.Options{Capacity: 16 << 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	ctx := context.Background()
	err = s.Set(ctx, "price:AAPL", store.Entry{
		Value:   []byte("190.5"),
		Expires: time.Now().Add(5 * time.Minute),
	})
	if err != nil {
		fmt.Println(err)
	}
	e, err := s.Get(ctx, "price:AAPL")
	fmt.Println(string(e.Value), err)
	_, err = s.Get(ctx, "price:MSFT")
	fmt.Println(errors.Is(err, store.ErrNotFound))
	// Output:
	// 190.5 <nil>
	// true
}

// Decoded values are shared by all readers, who must not modify them.
func ExampleStore_SetObject() {
	s, err := otterstore.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	type quote struct {
		symbol string
		price  float64
	}
	q := &quote{"AAPL", 190.5}
	if err := s.SetObject("quote:AAPL", q, 64, time.Time{}); err != nil {
		fmt.Println(err)
	}
	obj, ok := s.GetObject("quote:AAPL")
	fmt.Println(ok, obj == any(q), obj.(*quote).price)
	// Output: true true 190.5
}
