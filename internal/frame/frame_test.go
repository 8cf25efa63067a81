package frame

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stratacache/strata/store"
)

var update = flag.Bool("update", false, "write the golden files")

// golden are the frames kept in testdata/v1, which every later version reads.
var golden = map[string]store.Entry{
	"bare":  {Value: []byte("123.45")},
	"empty": {Version: 1},
	"full": {
		Value:   []byte(`{"symbol":"AAPL"}`),
		Expires: time.UnixMicro(1_900_000_000_123_456),
		Fresh:   time.UnixMicro(1_899_999_000_000_001),
		Version: 0x0192_3456_789a_0007,
		Tags:    []string{"market:us", "", "ünïcode"},
		Codec:   "json",
	},
	"before-epoch": {Value: []byte{0}, Expires: time.UnixMicro(-1), Version: math.MaxUint64},
	"own-codec":    {Value: []byte("x"), Codec: "bars/v3"},
}

const goldenKey = "price:AAPL"

func TestGoldenFramesOfFormat1(t *testing.T) {
	for name, want := range golden {
		path := filepath.Join("testdata", "v1", name+".frame")
		b, err := Append(nil, goldenKey, &want)
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		kept, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(kept, b) {
			t.Errorf("%s: encodes to %x, was %x", name, b, kept)
		}
		got, err := Decode(goldenKey, kept)
		if err != nil || !same(got, want) {
			t.Errorf("%s: decodes to %+v, %v; want %+v", name, got, err, want)
		}
		if Size(&want) != len(b) {
			t.Errorf("%s: Size %d, length %d", name, Size(&want), len(b))
		}
	}
}

// same compares entries, an empty value and a nil one being alike.
func same(a, b store.Entry) bool {
	return bytes.Equal(a.Value, b.Value) && a.Expires.Equal(b.Expires) && a.Fresh.Equal(b.Fresh) &&
		a.Version == b.Version && a.Codec == b.Codec &&
		(len(a.Tags) == 0 && len(b.Tags) == 0 || reflect.DeepEqual(a.Tags, b.Tags))
}

func TestEveryDamageIsFound(t *testing.T) {
	e := golden["full"]
	b, err := Append(nil, "k", &e)
	if err != nil {
		t.Fatal(err)
	}
	for n := range b {
		if _, err := Decode("k", b[:n]); !errors.Is(err, store.ErrCorrupt) {
			t.Fatalf("cut to %d bytes: error %v", n, err)
		}
	}
	for i := range b {
		for bit := range 8 {
			c := bytes.Clone(b)
			c[i] ^= 1 << bit
			if got, err := Decode("k", c); !errors.Is(err, store.ErrCorrupt) {
				t.Fatalf("bit %d of byte %d flipped: %+v, error %v", bit, i, got, err)
			}
		}
	}
	if _, err := Decode("other", b); !errors.Is(err, store.ErrCorrupt) {
		t.Fatalf("under another key: error %v", err)
	}
	if _, err := Decode("k", append(b, 0)); !errors.Is(err, store.ErrCorrupt) {
		t.Fatalf("with a byte more: error %v", err)
	}
}

// sealed returns b with the checksum that its bytes need, so that hostile
// lengths get past it.
func sealed(key string, b []byte) []byte {
	b = bytes.Clone(b)
	copy(b, magic)
	b[len(magic)] = format
	binary.BigEndian.PutUint32(b[crcOffset:], checksum(key, b))
	return b
}

func TestHostileLengthsCostNoMemory(t *testing.T) {
	body := func(flags byte, rest ...byte) []byte {
		b := make([]byte, HeaderLen)
		b[flagsOffset] = flags
		return sealed("k", append(b, rest...))
	}
	huge := binary.AppendUvarint(nil, math.MaxUint64)
	for name, b := range map[string][]byte{
		"number of tags":     body(flagTags, huge...),
		"length of a tag":    body(flagTags, append([]byte{2, 0}, huge...)...),
		"endless varint":     body(flagTags, bytes.Repeat([]byte{0xff}, 20)...),
		"codec name":         body(flagCodec, 200, 'x'),
		"cut-off deadline":   body(flagExpires, 1, 2, 3),
		"cut-off freshness":  body(flagExpires|flagFresh, make([]byte, 12)...),
		"no codec length":    body(flagCodec),
		"no tag count":       body(flagTags),
		"unknown flag":       body(1 << 7),
		"more tags than fit": body(flagTags, 5, 0, 0),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decode("k", b)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: error %v", name, err)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10 {
			t.Errorf("%s: %d bytes allocated for an input of %d", name, got, len(b))
		}
	}
}

func TestMagicStartsNoCommonValue(t *testing.T) {
	for name, b := range map[string][]byte{
		"text": []byte("123.45"), "json": []byte(`{"a":1}`), "json list": []byte("[]"), "null": []byte("null"),
		"parquet": []byte("PAR1"), "gzip": {0x1f, 0x8b}, "zstd": {0x28, 0xb5, 0x2f, 0xfd}, "pickle": {0x80, 4},
		"msgpack map": {0x81}, "msgpack nil": {0xc0}, "empty": {}, "utf-8": []byte("Ástrata"), "bom": {0xef, 0xbb, 0xbf},
	} {
		if Is(b) || Suspect(b) {
			t.Errorf("%s is taken for a frame", name)
		}
	}
}

func TestLongCodecNameIsRefused(t *testing.T) {
	e := store.Entry{Codec: strings.Repeat("c", MaxCodecName+1)}
	if b, err := Append([]byte("kept"), "k", &e); err == nil || string(b) != "kept" {
		t.Fatalf("%q, %v", b, err)
	}
}

func TestFarDeadlinesStayInRange(t *testing.T) {
	for _, at := range []time.Time{time.Unix(math.MaxInt64/2, 0), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)} {
		e := store.Entry{Expires: at}
		b, err := Append(nil, "k", &e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode("k", b)
		if err != nil || got.Expires.Before(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%v became %v, %v", at, got.Expires, err)
		}
	}
}

func TestAllocations(t *testing.T) {
	e := store.Entry{Value: make([]byte, 100), Expires: time.Now(), Fresh: time.Now(), Version: 1, Codec: "json"}
	buf := make([]byte, 0, 256)
	b, err := Append(buf, "price:AAPL", &e)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = Append(buf, "price:AAPL", &e) }); n != 0 {
		t.Errorf("Append into a buffer: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = Decode("price:AAPL", b) }); n != 0 {
		t.Errorf("Decode without tags: %v allocations", n)
	}
}

// FuzzDecode: no input panics, costs memory out of proportion, or decodes to an
// entry that does not survive encoding again. Checksums are made right, so that
// the fuzzer gets past them.
func FuzzDecode(f *testing.F) {
	for _, e := range golden {
		b, err := Append(nil, goldenKey, &e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(goldenKey, b)
	}
	f.Fuzz(func(t *testing.T, key string, b []byte) {
		if _, err := Decode(key, b); err != nil && !errors.Is(err, store.ErrCorrupt) {
			t.Fatalf("error of another kind: %v", err)
		}
		if len(b) < HeaderLen {
			return
		}
		b = sealed(key, b)
		e, err := Decode(key, b)
		if err != nil {
			return
		}
		again, err := Append(nil, key, &e)
		if err != nil {
			t.Fatal(err)
		}
		if len(again) > len(b) {
			t.Fatalf("%d bytes became %d", len(b), len(again))
		}
		back, err := Decode(key, again)
		if err != nil || !same(back, e) {
			t.Fatalf("%+v came back as %+v, %v", e, back, err)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	e := store.Entry{Value: make([]byte, 1024), Expires: time.Now(), Version: 1, Codec: "json"}
	buf := make([]byte, 0, Size(&e))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Append(buf, "price:AAPL", &e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	e := store.Entry{Value: make([]byte, 1024), Expires: time.Now(), Version: 1, Codec: "json"}
	buf, err := Append(nil, "price:AAPL", &e)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode("price:AAPL", buf); err != nil {
			b.Fatal(err)
		}
	}
}
