package parquet_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"testing"

	pq "github.com/parquet-go/parquet-go"
)

var sizes = []int{252, 100_000}

func BenchmarkEncode(b *testing.B) {
	for _, n := range sizes {
		v := bars(n)
		run := func(name string, f func(dst []byte) ([]byte, error)) {
			b.Run(fmt.Sprintf("bars=%d/codec=%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				var buf []byte
				for b.Loop() {
					var err error
					if buf, err = f(buf[:0]); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(len(buf)), "bytes")
			})
		}
		c := newCodec[[]Bar](b, nil)
		run("parquet", func(dst []byte) ([]byte, error) { return c.Append(dst, v) })
		run("parquet-new", func([]byte) ([]byte, error) { return c.Append(nil, v) })
		run("json", func([]byte) ([]byte, error) { return json.Marshal(v) })
		run("gob", func(dst []byte) ([]byte, error) {
			w := bytes.NewBuffer(dst)
			err := gob.NewEncoder(w).Encode(v)
			return w.Bytes(), err
		})
		run("parquet-go", func(dst []byte) ([]byte, error) {
			w := bytes.NewBuffer(dst)
			err := pq.Write(w, v)
			return w.Bytes(), err
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range sizes {
		v := bars(n)
		run := func(name string, f func() error) {
			b.Run(fmt.Sprintf("bars=%d/codec=%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := f(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		c := newCodec[[]Bar](b, nil)
		data := encode(b, c, v)
		run("parquet", func() error { _, err := c.Decode(data); return err })
		from, to := v[n/2].Date, v[n/2+20].Date
		run("parquet-range20", func() error { _, err := c.Range(data, from, to); return err })
		run("parquet-close", func() error { _, err := c.Columns(data, "Close"); return err })
		text, _ := json.Marshal(v)
		run("json", func() error { var out []Bar; return json.Unmarshal(text, &out) })
		var g bytes.Buffer
		if err := gob.NewEncoder(&g).Encode(v); err != nil {
			b.Fatal(err)
		}
		run("gob", func() error { var out []Bar; return gob.NewDecoder(bytes.NewReader(g.Bytes())).Decode(&out) })
		run("parquet-go", func() error {
			_, err := pq.Read[Bar](bytes.NewReader(data), int64(len(data)))
			return err
		})
		var foreign bytes.Buffer
		if err := pq.Write(&foreign, v); err != nil {
			b.Fatal(err)
		}
		run("parquet-foreign", func() error { _, err := c.Decode(foreign.Bytes()); return err })
	}
}
