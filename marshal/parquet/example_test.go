package parquet_test

import (
	"fmt"
	"time"

	"github.com/stratacache/strata/marshal/parquet"
)

// Quote is a row of the examples.
type Quote struct {
	At    time.Time `parquet:"at"`
	Price float64   `parquet:"price"`
	Note  *string   `parquet:"note"`
}

func ExampleNew() {
	codec, err := parquet.New[[]Quote](nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	day := time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC)
	data, err := codec.Append(nil, []Quote{{At: day, Price: 185.64}, {At: day.AddDate(0, 0, 1), Price: 184.25}})
	if err != nil {
		fmt.Println(err)
		return
	}
	quotes, err := codec.Decode(data)
	fmt.Println(len(quotes), quotes[1].Price, quotes[1].Note == nil, err)
	// Output: 2 184.25 true <nil>
}

func ExampleCodec_Range() {
	codec, err := parquet.New[[]Quote](nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	day := time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC)
	var year []Quote
	for i := range 365 {
		year = append(year, Quote{At: day.AddDate(0, 0, i), Price: float64(i)})
	}
	data, err := codec.Append(nil, year)
	if err != nil {
		fmt.Println(err)
		return
	}
	march, err := codec.Range(data, time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2024, 4, 1, 0, 0, 0, 0, time.UTC), "price")
	fmt.Println(len(march), march[0].At.Format(time.DateOnly), march[0].Price, err)
	// Output: 31 2024-03-01 59 <nil>
}
