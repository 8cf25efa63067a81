package parquet_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	pq "github.com/parquet-go/parquet-go"

	"github.com/stratacache/strata/internal/alloctest"
	"github.com/stratacache/strata/marshal/parquet"
	"github.com/stratacache/strata/store"
)

// bombs are small files that are true to the format and very large when
// decoded.
func bombs(t *testing.T) map[string][]byte {
	t.Helper()
	write := func(rows any, opts ...pq.WriterOption) []byte {
		var b bytes.Buffer
		var err error
		switch r := rows.(type) {
		case []a[*int64]:
			err = pq.Write(&b, r, opts...)
		case []a[string]:
			err = pq.Write(&b, r, opts...)
		case []a[bool]:
			err = pq.Write(&b, r, opts...)
		}
		if err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	same := make([]a[string], 5_000)
	for i := range same {
		same[i].A = string(bytes.Repeat([]byte("x"), 1000))
	}
	type dict struct {
		A string `parquet:"A,dict"`
	}
	var shared bytes.Buffer
	long := make([]dict, 20_000)
	for i := range long {
		long[i].A = same[0].A
	}
	if err := pq.Write(&shared, long); err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"nulls":      write(make([]a[*int64], 1_000_000)),
		"zstd":       write(same, pq.Compression(&pq.Zstd)),
		"gzip":       write(same, pq.Compression(&pq.Gzip)),
		"booleans":   write(make([]a[bool], 6_000_000), pq.DefaultEncodingFor(pq.Boolean, &pq.RLE)),
		"dictionary": shared.Bytes(),
	}
}

// wideRow takes much more memory than its columns.
type wideRow struct {
	A   string
	Pad [64]int64 `parquet:"-"`
}

func TestBombs(t *testing.T) {
	files := bombs(t)
	for name, data := range files {
		t.Run(name, func(t *testing.T) {
			var err error
			used := alloctest.Bytes(func() {
				switch name {
				case "nulls":
					_, err = newCodec[[]a[*int64]](t, &parquet.Options{MaxExpansion: 10}).Decode(data)
				case "booleans":
					_, err = newCodec[[]a[bool]](t, &parquet.Options{MaxExpansion: 4}).Decode(data)
				case "dictionary": // the string is there once; the rows are what is large
					_, err = newCodec[[]wideRow](t, &parquet.Options{MaxExpansion: 64}).Decode(data)
				default:
					_, err = newCodec[[]a[string]](t, &parquet.Options{MaxExpansion: 8}).Decode(data)
				}
			})
			if !errors.Is(err, store.ErrTooLarge) {
				t.Errorf("%d bytes: %v", len(data), err)
			}
			if limit := uint64(8<<20 + 256*len(data)); used > limit {
				t.Errorf("%d bytes took %d bytes of memory", len(data), used)
			}
		})
	}
	// What is large but wanted is a matter of the option, and equal strings of
	// a dictionary are one in memory.
	data := files["dictionary"]
	var rows []a[string]
	used := alloctest.Bytes(func() {
		var err error
		rows, err = newCodec[[]a[string]](t, &parquet.Options{MaxExpansion: 1 << 20}).Decode(data)
		if err != nil {
			t.Fatal(err)
		}
	})
	if len(rows) != 20_000 || len(rows[77].A) != 1000 || used > 8<<20 {
		t.Errorf("%d rows in %d bytes", len(rows), used)
	}
}

// TestFalseFooters changes the numbers of a footer, one at a time, to values
// that are as wrong as can be.
func TestFalseFooters(t *testing.T) {
	data := encode(t, newCodec[[]Bar](t, nil), bars(40))
	footer := int(binary.LittleEndian.Uint32(data[len(data)-8:]))
	start := len(data) - 8 - footer
	evil := [][]byte{
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, {0xfe, 0xff, 0xff, 0xff, 0x0f}, {0x80, 0x80, 0x80, 0x80, 0x20}, {0xff, 0x7f}, {0x01}, {0x00},
	}
	for i := start; i < len(data)-8; i++ {
		for _, e := range evil {
			bad := append(bytes.Clone(data[:i]), e...)
			bad = append(bad, data[i+1:len(data)-8]...)
			bad = binary.LittleEndian.AppendUint32(bad, uint32(len(bad)-start))
			checkDecode(t, append(bad, "PAR1"...))
		}
	}
	for _, n := range []uint32{0, 1, uint32(len(data)), 1 << 31, 1<<32 - 1} {
		bad := bytes.Clone(data)
		binary.LittleEndian.PutUint32(bad[len(bad)-8:], n)
		checkDecode(t, bad)
		if _, err := newCodec[[]Bar](t, nil).Decode(bad); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("footer of %d bytes: %v", n, err)
		}
	}
}

// TestDecodeCopies proves that rows share no memory with the file.
func TestDecodeCopies(t *testing.T) {
	for name, opts := range optionSets {
		c := newCodec[[]All](t, opts)
		data := encode(t, c, all(30))
		got, err := c.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		clear(data)
		for i, want := range all(30) {
			if got[i].S != want.S || !bytes.Equal(got[i].Raw, want.Raw) || got[i].PS != nil && *got[i].PS != *want.PS {
				t.Fatalf("%s: row %d changed with the file", name, i)
			}
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	c := newCodec[[]All](t, &parquet.Options{Compression: parquet.Zstd, RowGroupRows: 16})
	done := make(chan error, 8)
	for w := range 8 {
		go func() {
			for i := range 8 {
				n := (w*7 + i) % 50
				data, err := c.Append(nil, all(n))
				if err != nil {
					done <- err
					return
				}
				rows, err := c.Decode(data)
				if err != nil || len(rows) != n || n > 0 && rows[n-1].I != n-1 {
					done <- errors.Join(errors.New("wrong rows"), err)
					return
				}
				if _, err := c.Range(data[:len(data)/2], time.Time{}, time.Now()); err == nil {
					done <- errors.New("half a file was read")
					return
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestAppendRefusesWhatDecodeWould proves that what was written can be read.
func TestAppendRefusesWhatDecodeWould(t *testing.T) {
	nothing := make([]a[*int64], 1_000_000)
	if data, err := newCodec[[]a[*int64]](t, nil).Append(nil, nothing); !errors.Is(err, store.ErrTooLarge) || data != nil {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	for _, opts := range []*parquet.Options{{MaxExpansion: 1 << 20}, {MaxExpansion: 1 << 20, Encoding: parquet.Compact, Compression: parquet.Zstd}} {
		c := newCodec[[]a[*int64]](t, opts)
		if rows, err := c.Decode(encode(t, c, nothing)); err != nil || len(rows) != len(nothing) {
			t.Errorf("%d rows, %v", len(rows), err)
		}
	}
	// Just within the limit, for rows that unpack to much more than their file.
	for _, opts := range optionSets {
		narrow := parquet.Options{}
		if opts != nil {
			narrow = *opts
		}
		for _, narrow.MaxExpansion = range []int{1, 2, 5, 30} {
			c := newCodec[[]All](t, &narrow)
			for _, n := range []int{10, 1000, 5000} {
				data, err := c.Append(nil, make([]All, n))
				if err != nil {
					continue
				}
				if rows, err := c.Decode(data); err != nil || len(rows) != n {
					t.Errorf("%+v: %d rows were written but %v", narrow, n, err)
				}
			}
		}
	}
}
