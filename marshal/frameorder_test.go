package marshal

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

// Other programs need not repeat the labels in one order, nor spell them alike.
func TestFrameLabelsInAnyOrder(t *testing.T) {
	type row struct {
		Key  string `frame:",index"`
		A, B float64
		N    *int64
	}
	nan, n := math.NaN(), int64(7)
	for document, want := range map[string][]row{
		`{"A":{"x":1,"y":2},"B":{"y":4,"x":3}}`:                          {{"x", 1, 3, nil}, {"y", 2, 4, nil}},
		`{"A":{"1":1,"2":2,"10":3},"B":{"10":6,"1":4}}`:                  {{"1", 1, 4, nil}, {"2", 2, nan, nil}, {"10", 3, 6, nil}},
		`{"A":{"2":1,"1":2},"B":{"1":3,"2":4}}`:                          {{"2", 1, 4, nil}, {"1", 2, 3, nil}},
		`{"A":{"1":1,"1":2},"B":{"1":3}}`:                                {{"1", 2, 3, nil}},
		`{"A":{"5":1,"6":2,"5":9}}`:                                      {{"5", 9, nan, nil}, {"6", 2, nan, nil}},
		`{"A":{"01":1,"1":2},"B":{"1":3,"01":4}}`:                        {{"01", 1, 4, nil}, {"1", 2, 3, nil}},
		`{"A":{"1":1,"2":2},"B":{"\u0031":3,"3":4}}`:                     {{"1", 1, 3, nil}, {"2", 2, nan, nil}, {"3", nan, 4, nil}},
		`{"A":{"\u00e9":1},"B":{"é":2},"N":{"é":7.0}}`:                   {{"é", 1, 2, &n}},
		`{"A":{},"B":{"":1}}`:                                            {{"", nan, 1, nil}},
		" {\"A\" :\t{ \"x\" : 1e2 , \"y\" : -0.5 }\n, \"C\":[{}, [1]] }": {{"x", 100, nan, nil}, {"y", -.5, nan, nil}},
	} {
		got, err := must(t, Frame[[]row]).Decode([]byte(document))
		if err != nil {
			t.Errorf("%s: %v", document, err)
			continue
		}
		same(t, document, got, want)
	}
}

func TestFrameIsStrictJSON(t *testing.T) {
	c := must(t, Frame[[]day])
	for _, cell := range []string{"01", "1.", ".5", "+1", "1e", "1e+", "--1", "0x1", "NaN", "Infinity", "nul", "tru", "1_0", "1 2", "'1'", ""} {
		refuses(t, c, `{"Open":{"1":`+cell+`}}`)
	}
	refuses(t, c, `{"Open":{"1":1,}}`, `{"Open":{,"1":1}}`, `{"Open":{"1":1}},`, `{"Open":{"1" 1}}`, `{"Open":{"1":1 "2":2}}`, `{"Open" {"1":1}}`,
		`{"Open":{1:1}}`, "{\"Open\":{\"1\":1}}\x00", `{"Open":{"1":1}}}`, "{\"Note\":{\"1\":\"a\nb\"}}", `{"Note":{"1":"\x"}}`, `{"Note":{"1":"a`, `{"Note":{"1":"a\`,
		`{"Open":{"1":1},"Other":[1,}`, `{"Open":{"1":1},"Other":`, "{\"Open\":{\"1\":1},\"Oth\ner\":1}", "\xef\xbb\xbf{}")
}

// An embedded pointer may be nil, which a row of a table cannot be in part.
func TestFrameRefusesEmbeddedPointers(t *testing.T) {
	type Inner struct{ A float64 }
	type row struct {
		*Inner
		B float64
	}
	if _, err := Frame[[]row](); err == nil || !strings.Contains(err.Error(), "embedded pointer") {
		t.Errorf("Frame: %v", err)
	}
	type Whole struct{ A float64 }
	type good struct {
		Date time.Time
		Whole
		B float64
	}
	roundTrip(t, must(t, Frame[[]good]), []good{{time.UnixMilli(5).UTC(), Whole{1.5}, 2.5}}, `{"A":{"5":1.5},"B":{"5":2.5}}`)
}

// A document of encoding/json means the same to Frame.
func FuzzFrameLikeJSON(f *testing.F) {
	f.Add([]byte(`{"Open":{"1":1.5,"2":null},"Close":{"2":1e2}}`))
	f.Add([]byte(`{"Open":{"\u0031":1},"x":{"y":[]},"Close":{"1":-0}}`))
	f.Add([]byte(`{"Open":{"b":1,"a":2,"b":3}}`))
	type row struct {
		Key         string `frame:",index"`
		Open, Close float64
	}
	c, err := Frame[[]row]()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, err := bounded(t, c, data)
		if !json.Valid(data) && err == nil {
			t.Fatalf("%q is no JSON, but decodes", data)
		}
		var outer map[string]json.RawMessage
		if err != nil || json.Unmarshal(data, &outer) != nil {
			return
		}
		got := map[string]string{}
		for _, r := range rows {
			got[r.Key] = fmt.Sprint(r.Open, r.Close)
		}
		want := map[string]*[2]float64{}
		for i, name := range []string{"Open", "Close"} {
			var column map[string]*float64
			if raw, ok := outer[name]; ok && json.Unmarshal(raw, &column) != nil {
				return // a number out of range, where json has no opinion
			}
			for label, v := range column {
				if want[label] == nil {
					want[label] = &[2]float64{math.NaN(), math.NaN()}
				}
				if v != nil {
					want[label][i] = *v
				}
			}
		}
		if len(got) != len(rows) || len(got) != len(want) {
			t.Fatalf("%q: %d rows of %d labels, want %d", data, len(rows), len(got), len(want))
		}
		for label, v := range want {
			if got[label] != fmt.Sprint(v[0], v[1]) {
				t.Fatalf("%q: %q has %s, want %v", data, label, got[label], *v)
			}
		}
	})
}
