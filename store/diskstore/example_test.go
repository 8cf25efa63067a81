package diskstore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore"
)

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "strata")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	s, err := diskstore.Open(dir, &diskstore.Options{Capacity: 1 << 30})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	ctx := context.Background()
	err = s.Set(ctx, "price:AAPL", store.Entry{
		Value: []byte("187.5"), Expires: time.Now().Add(5 * time.Minute), Codec: "text",
	})
	if err != nil {
		log.Fatal(err)
	}
	e, err := s.Get(ctx, "price:AAPL")
	fmt.Println(string(e.Value), err)

	// A buffer that is used again costs no allocation.
	buf := make([]byte, 0, 64)
	buf, _, err = s.Append(ctx, buf, "price:AAPL")
	fmt.Println(string(buf), err)

	// Once sealed, the entry is in kv/*.parquet for other programs.
	fmt.Println(s.Flush(ctx), s.Stats().Extra["segments"])
	// Output:
	// 187.5 <nil>
	// 187.5 <nil>
	// <nil> 1
}

func ExampleStore_Load() {
	dir, err := os.MkdirTemp("", "strata")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s, err := diskstore.Open(dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	ctx := context.Background()
	err = s.Load(ctx, func(yield func(string, store.Entry) bool) {
		for i := range 1000 {
			if !yield(fmt.Sprintf("info:%d", i), store.Entry{Value: []byte("{}")}) {
				return
			}
		}
	})
	fmt.Println(err, s.Stats().Entries)
	// Output: <nil> 1000
}
