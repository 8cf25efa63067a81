package frame_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stratacache/strata/internal/frame"
	"github.com/stratacache/strata/store"
)

// A head that was renewed, in front of the rest of the old frame, is the frame
// that the entry would have been written as.
func TestRenewIsTheFrameOfTheRenewedEntry(t *testing.T) {
	now := time.UnixMicro(1_800_000_000_000_000)
	for _, size := range []int{0, 1, 4095, 4096, 100_000} {
		for _, old := range []store.Entry{
			{Version: 7},
			{Version: 7, Expires: now},
			{Version: 7, Expires: now, Fresh: now.Add(-time.Minute), Codec: "json", Tags: []string{"a", "b"}},
		} {
			t.Run(fmt.Sprint(size, " ", old.Codec, old.Expires.IsZero()), func(t *testing.T) {
				old.Value = bytes.Repeat([]byte{0xA5}, size)
				b, err := frame.Append(nil, "key", &old)
				if err != nil {
					t.Fatal(err)
				}
				e := old
				e.Version = 9
				if !e.Expires.IsZero() {
					e.Expires = e.Expires.Add(time.Hour)
				}
				if !e.Fresh.IsZero() {
					e.Fresh = e.Fresh.Add(time.Hour)
				}
				want, err := frame.Append(nil, "key", &e)
				if err != nil {
					t.Fatal(err)
				}
				head := bytes.Clone(b[:min(len(b), frame.HeadLen)])
				renewed, ok := frame.Renew("key", head, int64(len(b)), 7, &e)
				if !ok {
					t.Fatal("refused")
				}
				if got := append(renewed, b[len(renewed):]...); !bytes.Equal(got, want) {
					t.Fatalf("renewed\n%x\nwant\n%x", got[:min(len(got), 64)], want[:min(len(want), 64)])
				}
			})
		}
	}
}

func TestRenewRefuses(t *testing.T) {
	now := time.UnixMicro(1_800_000_000_000_000)
	sound, err := frame.Append(nil, "k", &store.Entry{Version: 7, Expires: now, Value: []byte("v")})
	if err != nil {
		t.Fatal(err)
	}
	next := store.Entry{Version: 8, Expires: now.Add(time.Hour)}
	for name, c := range map[string]struct {
		head    []byte
		size    int64
		version uint64
		e       store.Entry
	}{
		"nothing":              {nil, 0, 7, next},
		"no frame":             {[]byte("a plain value of some length"), 28, 7, next},
		"cut off":              {sound[:20], 20, 7, next},
		"another version":      {sound, int64(len(sound)), 6, next},
		"no deadline any more": {sound, int64(len(sound)), 7, store.Entry{Version: 8}},
		"a soft deadline more": {sound, int64(len(sound)), 7, store.Entry{Version: 8, Expires: now, Fresh: now}},
		"a false size":         {sound, 3, 7, next},
	} {
		if _, ok := frame.Renew("k", bytes.Clone(c.head), c.size, c.version, &c.e); ok {
			t.Errorf("%s: renewed", name)
		}
	}
	damaged := bytes.Clone(sound)
	damaged[len(damaged)-1] ^= 1
	head, ok := frame.Renew("k", bytes.Clone(damaged[:25]), int64(len(damaged)), 7, &next)
	if !ok {
		t.Fatal("refused")
	}
	if _, err := frame.Decode("k", append(head, damaged[len(head):]...)); err == nil {
		t.Error("renewing a damaged frame has made it sound")
	}
}
