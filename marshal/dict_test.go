package marshal

import (
	"fmt"
	"strings"
	"testing"
)

// companies are small documents of one kind, as info:{symbol} holds them.
func companies(n int) [][]byte {
	docs := make([][]byte, n)
	for i := range docs {
		docs[i] = fmt.Appendf(nil, `{"symbol":"S%d","marketCap":%d,"sector":"%s","industry":"Software %d","currency":"USD","exchange":"NMS",`+
			`"longBusinessSummary":"The company designs, makes and sells products %d.","trailingPE":%d.%d,"dividendYield":0.0%d,"fullTimeEmployees":%d}`,
			i, i*7919*7919, []string{"Technology", "Energy", "Healthcare"}[i%3], i%11, i, i%40, i%10, i%9, i*31)
	}
	return docs
}

func trainedDict(t testing.TB) []byte {
	t.Helper()
	d, err := TrainDict(companies(300), 4096)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDict(t *testing.T) {
	codec := func(o *CompressOptions) Codec[[]byte] {
		c, err := Zstd(Bytes[[]byte](), o)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	alone, with := codec(nil), codec(&CompressOptions{Dict: trainedDict(t)})
	var sizeAlone, sizeWith int
	for _, doc := range companies(400)[300:] { // not those it was trained with
		roundTrip(t, with, doc, "")
		a, _ := alone.Append(nil, doc)
		w, _ := with.Append(nil, doc)
		sizeAlone, sizeWith = sizeAlone+len(a), sizeWith+len(w)
	}
	if sizeWith > sizeAlone/2 {
		t.Errorf("%d bytes with the dictionary, %d without", sizeWith, sizeAlone)
	}
	doc := companies(1)[0]
	b, err := with.Append(nil, doc)
	if err != nil {
		t.Fatal(err)
	}
	other, err := TrainDict(companies(500)[200:], 4096)
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, alone, string(b))
	refuses(t, codec(&CompressOptions{Dict: other}), string(b))
	b, err = alone.Append(nil, doc)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := with.Decode(b); err != nil || string(got) != string(doc) {
		t.Errorf("what was written before there was a dictionary: %q, %v", got, err)
	}
}

func TestTrainDictRefuses(t *testing.T) {
	for name, samples := range map[string][][]byte{
		"none": nil, "empty": {{}, {}}, "one byte": {{1}}, "one value": {[]byte(strings.Repeat("a", 50))}, "noise": {noise(10), noise(20)},
	} {
		d, err := TrainDict(samples, 0)
		if err == nil {
			if _, err := Zstd(Bytes[[]byte](), &CompressOptions{Dict: d}); err != nil {
				t.Errorf("%s: a dictionary that does not load: %v", name, err)
			}
		}
	}
	if _, err := TrainDict(companies(10), 10); err == nil {
		t.Error("a dictionary of 10 bytes")
	}
}
