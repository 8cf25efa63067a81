package codec

import (
	"math"
	"math/rand/v2"
	"time"
)

//go:generate go run github.com/tinylib/msgp@v1.6.5 -file values.go -o values_msgp.go -tests=false

// Price is the smallest value that a market-data service keeps.
type Price float64

// Info is a company's figures, as JSON has them.
type Info map[string]interface{}

// Bar is a day of prices.
type Bar struct {
	Date   time.Time
	Open   float64
	High   float64
	Low    float64
	Close  float64
	Volume int64
}

// Bars is a price history.
type Bars []Bar

func info() Info {
	return Info{
		"symbol": "AAPL", "shortName": "Apple Inc.", "sector": "Technology", "industry": "Consumer Electronics",
		"country": "United States", "currency": "USD", "exchange": "NMS", "marketCap": 2.54e12, "trailingPE": 28.41,
		"forwardPE": 26.3, "dividendYield": 0.0055, "beta": 1.29, "tags": []interface{}{"large", "growth"}, "esg": nil, "active": true,
	}
}

// bars returns a history of n days: prices walk in steps of cents.
func bars(n int) Bars {
	r := rand.New(rand.NewPCG(7, 11))
	day, price := time.Date(1980, 1, 2, 0, 0, 0, 0, time.UTC), 115.0
	cents := func(f float64) float64 { return math.Round(f*100) / 100 }
	rows := make(Bars, n)
	for i := range rows {
		open := price
		price = max(1, cents(price*(1+r.NormFloat64()/100)))
		rows[i] = Bar{
			day, open, cents(max(open, price) * (1 + r.Float64()/100)), cents(min(open, price) * (1 - r.Float64()/100)), price,
			20_000_000 + r.Int64N(30_000_000),
		}
		day = day.AddDate(0, 0, 1)
	}
	return rows
}
