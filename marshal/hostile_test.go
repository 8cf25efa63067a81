package marshal

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/tinylib/msgp/msgp"

	"github.com/stratacache/strata/internal/alloctest"
)

// packed is a type whose msgpack may hold anything.
type packed struct{ v any }

func (p packed) MarshalMsg(b []byte) ([]byte, error) { return msgp.AppendIntf(b, p.v) }

func (p *packed) UnmarshalMsg(b []byte) (rest []byte, err error) {
	p.v, rest, err = msgp.ReadIntfBytes(b)
	return rest, err
}

// list is n times an element between two ends.
func list(before, element, after string, n int) []byte {
	return []byte(before + strings.TrimSuffix(strings.Repeat(element, n), ",") + after)
}

// What costs most to decode costs memory in proportion, whether it decodes or
// not; and what is nested without end does not exhaust the stack, which no
// recover would catch. The fuzz targets see small inputs only.
func TestLargeHostileInputs(t *testing.T) {
	n := 400_000
	if testing.Short() {
		n = 40_000
	}
	deep := func(open, end string) []byte { return []byte(strings.Repeat(open, n) + strings.Repeat(end, n)) }
	array := func(head byte, element string) []byte { // with a length of 32 bits
		return append([]byte{head, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, strings.Repeat(element, n)...)
	}
	var labels, columns, unsorted bytes.Buffer
	for i := range n / 4 {
		fmt.Fprintf(&labels, `"%d":1,`, i)
		fmt.Fprintf(&columns, `"c%d":1,`, i)
		fmt.Fprintf(&unsorted, `"%d":1,`, n-i)
	}
	decode := func(c interface{ Name() string }, f func([]byte) error, inputs ...[]byte) {
		for i, in := range inputs {
			limit := uint64(alloctest.Slack + expansion*len(in))
			if used := alloctest.Bytes(func() { _ = f(in) }); used > limit {
				t.Errorf("%s: input %d of %d bytes made it allocate %d", c.Name(), i, len(in), used)
			}
		}
	}
	decode(JSON[any](), errOf(JSON[any]()), list("[", "{},", "]", n), list("[", "[],", "]", n), list("[", "0,", "]", n), deep("[", "]"), deep(`{"":`, "}"))
	decode(JSON[[]info](), errOf(JSON[[]info]()), list("[", "{},", "]", n), list("[", "null,", "]", n), list("{", `"a":0,`, "}", n))
	decode(CBOR[any](), errOf(CBOR[any]()), array(0x9a, "\xa0"), array(0x9a, "\x80"), array(0x9a, "\xf6"), deep("\x81", "\x00"), deep("\x9f", "\xff"), deep("\xc1", "\x00"))
	decode(CBOR[[]info](), errOf(CBOR[[]info]()), array(0x9a, "\xa0"), array(0x9a, "\xf6"))
	mp := must(t, MsgPack[packed])
	decode(mp, errOf(mp), array(0xdd, "\x80"), array(0xdd, "\x90"), array(0xdd, "\xc0"), deep("\x91", "\xc0"), deep("\x81\xa0", "\xc0"))
	fr := must(t, Frame[[]day])
	decode(fr, errOf(fr), list(`{"Open":{`, labels.String(), "}}", 1), list(`{"Open":{`, unsorted.String(), "}}", 1), list("{", columns.String(), "}", 1),
		list("{", `"":{},`, "}", n/4), []byte(`{"x":`+string(deep("[", "]"))+"}"))
}

func errOf[V any](c Codec[V]) func([]byte) error {
	return func(data []byte) error {
		_, err := c.Decode(data)
		return err
	}
}
