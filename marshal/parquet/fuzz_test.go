package parquet_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	pq "github.com/parquet-go/parquet-go"

	"github.com/stratacache/strata/internal/alloctest"
	"github.com/stratacache/strata/marshal/parquet"
	"github.com/stratacache/strata/store"
)

// seeds are small files of several writers and options.
func seeds(t testing.TB) [][]byte {
	var out [][]byte
	for _, opts := range optionSets {
		c := newCodec[[]All](t, opts)
		out = append(out, encode(t, c, all(20)), encode(t, newCodec[[]Bar](t, opts), bars(20)))
	}
	for _, opts := range foreignOptions() {
		var b bytes.Buffer
		if err := pq.Write(&b, bars(20), opts...); err != nil {
			t.Fatal(err)
		}
		out = append(out, b.Bytes())
	}
	return append(out, []byte("PAR1PAR1"), []byte("PAR1\xff\xff\xff\x7fPAR1"), nil)
}

// foreignOptions are ways in which parquet-go lays out a file.
func foreignOptions() [][]pq.WriterOption {
	return [][]pq.WriterOption{
		nil,
		{pq.Compression(&pq.Snappy)},
		{pq.Compression(&pq.Zstd), pq.DataPageVersion(1)},
		{pq.Compression(&pq.Gzip), pq.DataPageVersion(2), pq.PageBufferSize(64)},
		{pq.MaxRowsPerRowGroup(6), pq.DefaultEncoding(&pq.Plain)},
		{pq.DefaultEncodingFor(pq.Int64, &pq.DeltaBinaryPacked), pq.DefaultEncodingFor(pq.Double, &pq.ByteStreamSplit)},
		{pq.DefaultEncodingFor(pq.Int64, &pq.RLEDictionary), pq.DefaultEncodingFor(pq.Double, &pq.RLEDictionary)},
	}
}

// strict returns codecs that allow files little expansion.
var strict = sync.OnceValues(func() (*parquet.Codec[[]All], *parquet.Codec[[]Bar]) {
	wide, err1 := parquet.New[[]All](&parquet.Options{MaxExpansion: 64})
	narrow, err2 := parquet.New[[]Bar](&parquet.Options{MaxExpansion: 64})
	if err := errors.Join(err1, err2); err != nil {
		panic(err)
	}
	return wide, narrow
})

// checkDecode decodes data in every way. The result may be anything but a
// panic, which the codec would report as "decoding failed", and must not cost
// more memory than the input allows.
func checkDecode(t *testing.T, data []byte) {
	wide, narrow := strict()
	day := time.Date(2015, 1, 10, 0, 0, 0, 0, time.UTC)
	limit := uint64(5<<20 + 200*len(data))
	used := alloctest.Bytes(func() {
		_, err := wide.Decode(data)
		checkError(t, err)
		_, err = narrow.Decode(data)
		checkError(t, err)
		rows, err := narrow.Range(data, day, day.AddDate(0, 0, 5))
		checkError(t, err)
		for _, r := range rows {
			if r.Date.Before(day) || !r.Date.Before(day.AddDate(0, 0, 5)) {
				// A damaged file may claim to be sorted or have false bounds;
				// then rows are wrong, but there are no more than the file has.
				break
			}
		}
		_, err = narrow.Columns(data, "Close", "Volume")
		checkError(t, err)
	})
	if used > 4*limit {
		t.Errorf("%d bytes of input made it allocate %d", len(data), used)
	}
}

func checkError(t *testing.T, err error) {
	t.Helper()
	switch {
	case err == nil, errors.Is(err, parquet.ErrMismatch), errors.Is(err, parquet.ErrUnsupported), errors.Is(err, store.ErrTooLarge):
	case errors.Is(err, store.ErrCorrupt):
		if bytes.Contains([]byte(err.Error()), []byte("decoding failed")) {
			t.Errorf("panic: %v", err)
		}
	default:
		t.Errorf("error of unknown kind: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s)
	}
	f.Fuzz(checkDecode)
}

// TestMutations is a short deterministic share of what FuzzDecode does.
func TestMutations(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 40
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, seed := range seeds(t) {
		for range rounds {
			data := bytes.Clone(seed)
			for range 1 + rng.IntN(4) {
				if len(data) == 0 {
					break
				}
				i := rng.IntN(len(data))
				if rng.IntN(2) == 0 { // footers are where the trouble is
					i = max(0, len(data)-1-rng.IntN(min(len(data), 900)))
				}
				switch rng.IntN(4) {
				case 0:
					data[i] ^= 1 << rng.IntN(8)
				case 1:
					data[i] = byte(rng.Uint32())
				case 2:
					data[i] = 0xff
				case 3:
					data = append(data[:i], data[min(len(data), i+1+rng.IntN(8)):]...)
				}
			}
			checkDecode(t, data)
		}
		for n := range len(seed) {
			if n%17 == 0 {
				checkDecode(t, seed[:n])
			}
		}
	}
}

// Row is what FuzzRoundTrip writes.
type Row struct {
	T  time.Time
	F  float64
	I  int32
	U  uint64
	S  string
	B  []byte
	P  *float32
	Q  *string
	Ok bool
}

// rowsOf turns fuzz input into rows.
func rowsOf(data []byte) []Row {
	var out []Row
	take := func(n int) []byte {
		b := make([]byte, n)
		data = data[copy(b, data):]
		return b
	}
	for len(data) > 0 && len(out) < 1000 {
		head := take(2)
		r := Row{Ok: head[0]&1 != 0, S: string(bytes.ToValidUTF8(take(int(head[1]%9)), []byte("?"))), B: take(int(head[1] >> 5))}
		r.F = math.Float64frombits(binary.LittleEndian.Uint64(take(8)))
		r.U = binary.LittleEndian.Uint64(take(8))
		r.I = int32(binary.LittleEndian.Uint32(take(4)))
		sec := int64(int32(binary.LittleEndian.Uint32(take(4))))
		r.T = time.Unix(sec, int64(r.U%1e6)*1000).UTC()
		if head[0]&2 != 0 {
			r.T = time.Unix(sec, int64(r.U%1e9)).UTC()
		}
		if head[0]&4 != 0 {
			r.P = ptr(float32(r.F))
		}
		if head[0]&8 != 0 {
			r.Q = ptr(r.S)
		}
		out = append(out, r)
	}
	return out
}

// bits replaces what reflect.DeepEqual would call different from itself.
func bits(rows []Row) []Row {
	out := append([]Row{}, rows...)
	for i := range out {
		r := &out[i]
		if r.F != r.F {
			r.U ^= math.Float64bits(r.F)
			r.F = 0
		}
		if r.P != nil && *r.P != *r.P {
			r.I ^= int32(math.Float32bits(*r.P))
			r.P = nil
		}
	}
	return out
}

func FuzzRoundTrip(f *testing.F) {
	f.Add(bytes.Repeat([]byte("seed"), 12), uint8(0))
	f.Add(bytes.Repeat([]byte{0xff, 0x7f, 3, 0}, 200), uint8(5))
	var codecs []*parquet.Codec[[]Row]
	for _, name := range []string{"default", "small groups", "checksums", "snappy", "zstd", "compact", "compact, zstd"} {
		codecs = append(codecs, newCodec[[]Row](f, optionSets[name]))
	}
	f.Fuzz(func(t *testing.T, data []byte, which uint8) {
		c := codecs[int(which)%len(codecs)]
		want := rowsOf(data)
		file, err := c.Append([]byte("prefix"), want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Decode(file[len("prefix"):])
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(bits(got), bits(want)) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
	})
}
