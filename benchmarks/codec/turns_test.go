package codec

import (
	"strings"
	"testing"

	"github.com/stratacache/strata/benchmarks/turns"
)

// BenchmarkValues encodes and decodes each value with each codec, in turns.
func BenchmarkValues(b *testing.B) {
	for _, v := range values(b) {
		if testing.Short() && v.Name == "100,000 bars" {
			continue
		}
		b.Run("value="+strings.NewReplacer(" ", "-", ",", "").Replace(v.Name), func(b *testing.B) {
			b.Run("op=encode", func(b *testing.B) { turns.Run(b, 1, subjects(b, v, encoding)) })
			b.Run("op=decode", func(b *testing.B) { turns.Run(b, 1, subjects(b, v, decoding)) })
		})
	}
}

func encoding(s Subject, data []byte) func(int) error {
	buf := make([]byte, 0, 2*len(data)+1024)
	return func(int) error {
		_, err := s.Append(buf)
		return err
	}
}

func decoding(s Subject, data []byte) func(int) error {
	return func(int) error { return s.Decode(data) }
}

// name has no space or slash. The codec of bytes is no peer: it is given the text.
func name(s Subject) string {
	if s.Name == "strata bytes" {
		return "floor-bytes"
	}
	return strings.NewReplacer("/", ".", " ", "-").Replace(s.Name)
}

// subjects are the codecs of a value, with the bytes that each makes of it.
func subjects(b *testing.B, v Value, op func(s Subject, data []byte) func(int) error) []turns.Subject {
	b.Helper()
	var all []turns.Subject
	for _, s := range v.Subjects {
		data, err := s.Append(nil)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, turns.Subject{
			Name: name(s),
			Do:   turns.Each(op(s, data)),
			Figures: func(int) map[string]float64 {
				return map[string]float64{"bytes": float64(len(data))}
			},
		})
	}
	return all
}
