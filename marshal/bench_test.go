package marshal

import (
	"fmt"
	"testing"
	"time"
)

func benchRows(n int) []bar {
	rows := make([]bar, n)
	for i := range rows {
		rows[i] = bar{time.Date(2017, 1, 3, 0, 0, 0, 0, time.UTC).AddDate(0, 0, i), 100 + float64(i%977)/100}
	}
	return rows
}

func benchCodec[V any](b *testing.B, value string, c Codec[V], v V) {
	b.Helper()
	data, err := Append(c, nil, "key", v)
	if err != nil {
		b.Fatal(err)
	}
	b.Run(fmt.Sprintf("op=append/value=%s/codec=%s", value, c.Name()), func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 0, 2*len(data)+1024)
		for b.Loop() {
			if _, err := Append(c, buf, "key", v); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(data)), "bytes")
	})
	b.Run(fmt.Sprintf("op=decode/value=%s/codec=%s", value, c.Name()), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Decode(c, "key", data); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkCodec(b *testing.B) {
	benchCodec(b, "float", must(b, Text[float64]), 187.123456)
	benchCodec(b, "float", JSON[float64](), 187.123456)
	benchCodec(b, "float", CBOR[float64](), 187.123456)

	i := info{Sector: "Technology", MarketCap: 2.5e12, Officers: []string{"Cook", "Maestri", "Williams"}}
	benchCodec(b, "info", JSON[info](), i)
	benchCodec(b, "info", CBOR[info](), i)
	benchCodec(b, "info", encryptedInfo(b, ring(b, "a", "a")), i)

	q := quote{"AAPL", 187.5, []float64{1, 2, 3}, map[string]string{"venue": "XNAS"}}
	benchCodec(b, "quote", must(b, MsgPack[quote]), q)
	benchCodec(b, "quote", JSON[quote](), q)

	rows := benchRows(252)
	plain := JSON[[]bar]()
	benchCodec(b, "252bars", plain, rows)
	benchCodec(b, "252bars", CBOR[[]bar](), rows)
	benchCodec(b, "252bars", must(b, Parquet[[]bar]), rows)
	benchCodec(b, "252bars", must(b, Frame[[]bar]), rows)
	z, err := Zstd(plain, nil)
	if err != nil {
		b.Fatal(err)
	}
	s, err := S2(plain, nil)
	if err != nil {
		b.Fatal(err)
	}
	benchCodec(b, "252bars", z, rows)
	benchCodec(b, "252bars", s, rows)
}
