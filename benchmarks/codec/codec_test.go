package codec

import (
	"slices"
	"strings"
	"testing"
)

func values(tb testing.TB) []Value {
	tb.Helper()
	all, err := Values()
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// What is measured must be right: every codec returns what it was given.
func TestEverySubjectKeepsItsValue(t *testing.T) {
	for _, v := range values(t) {
		for _, s := range v.Subjects {
			if testing.Short() && v.Name == "100,000 bars" {
				continue
			}
			data, err := s.Append([]byte("x"))
			if err != nil || data[0] != 'x' {
				t.Errorf("%s, %s: Append: %v", v.Name, s.Name, err)
				continue
			}
			same, err := s.Check(data[1:])
			if err != nil || !same {
				t.Errorf("%s, %s: the same %v, %v", v.Name, s.Name, same, err)
			}
		}
	}
}

// Tables are to take at most half the bytes of JSON.
func TestTablesAreSmall(t *testing.T) {
	for _, v := range values(t) {
		if !strings.HasSuffix(v.Name, "bars") {
			continue
		}
		size := func(name string) int {
			s := v.Subjects[slices.IndexFunc(v.Subjects, func(s Subject) bool { return s.Name == name })]
			data, err := s.Append(nil)
			if err != nil {
				t.Fatal(err)
			}
			return len(data)
		}
		if pq, js := size("strata parquet"), size(Base); 2*pq > js {
			t.Errorf("%s: %d bytes as Parquet, %d as JSON", v.Name, pq, js)
		}
	}
}

func TestMeasure(t *testing.T) {
	results, err := Measure(values(t)[0], 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Bytes == 0 || r.Encode <= 0 || r.XDecode <= 0 || r.Name == Base && r.XEncode != 1 {
			t.Errorf("%+v", r)
		}
	}
}

func BenchmarkCodec(b *testing.B) {
	for _, v := range values(b) {
		if testing.Short() && v.Name == "100,000 bars" {
			continue
		}
		workload := "value=" + strings.NewReplacer(" ", "-", ",", "").Replace(v.Name)
		for _, op := range []string{"encode", "decode"} {
			for _, s := range v.Subjects {
				data, err := s.Append(nil)
				if err != nil {
					b.Fatal(err)
				}
				buf := make([]byte, 0, 2*len(data)+1024)
				work := func() error { return s.Decode(data) }
				if op == "encode" {
					work = func() error {
						_, err := s.Append(buf)
						return err
					}
				}
				b.Run("op="+op+"/"+workload+"/impl="+strings.ReplaceAll(strings.ReplaceAll(s.Name, "/", "."), " ", "-"), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if err := work(); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(len(data)), "bytes")
				})
			}
		}
	}
}
