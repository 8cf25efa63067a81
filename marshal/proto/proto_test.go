package proto_test

import (
	"fmt"
	"strings"
	"testing"

	pb "google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/stratacache/strata/internal/alloctest"
	"github.com/stratacache/strata/marshal/proto"
)

func ExampleNew() {
	c := proto.New[*wrapperspb.DoubleValue]()
	b, err := c.Append(nil, wrapperspb.Double(187.25))
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := c.Decode(b)
	fmt.Println(c.Name(), v.GetValue(), err)
	// Output: proto 187.25 <nil>
}

func TestRoundTrip(t *testing.T) {
	c := proto.New[*structpb.Struct]()
	v, err := structpb.NewStruct(map[string]any{"b": 1.5, "a": []any{"x", nil}, "c": map[string]any{}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Append([]byte("p"), v)
	if err != nil || b[0] != 'p' {
		t.Fatalf("Append = %q, %v", b, err)
	}
	got, err := c.Decode(b[1:])
	if err != nil || !pb.Equal(got, v) {
		t.Errorf("Decode = %v, %v", got, err)
	}
	again, _ := c.Append([]byte("p"), v)
	if string(again) != string(b) {
		t.Error("two encodings of one value differ")
	}
	if got, err := c.Decode(nil); err != nil || len(got.GetFields()) != 0 {
		t.Errorf("Decode of nothing = %v, %v; want the message without fields", got, err)
	}
}

func TestRefuses(t *testing.T) {
	c := proto.New[*durationpb.Duration]()
	for _, in := range []string{"\xff", "garbage", "\x08", "\x0a\x7f", "\x52\x01x"} {
		if v, err := c.Decode([]byte(in)); err == nil || v != nil {
			t.Errorf("Decode(%q) = %v, %v", in, v, err)
		}
	}
	if b, err := c.Append([]byte("p"), nil); err == nil || string(b) != "p" {
		t.Errorf("Append(nil) = %q, %v", b, err)
	}
	if _, err := proto.New[pb.Message]().Decode(nil); err == nil || !strings.Contains(err.Error(), "not a pointer") {
		t.Errorf("an interface type: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x08\x01\x10\x02"))
	f.Add([]byte("\x0a\x05\x0a\x01a\x12\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := proto.New[*structpb.Struct]()
		var v *structpb.Struct
		var err error
		// A field of two bytes can be an empty value in a map.
		alloctest.Proportional(t, data, 400, func() { v, err = c.Decode(data) })
		if err == nil {
			if _, err := c.Append(nil, v); err != nil {
				t.Fatalf("the value of %q does not encode: %v", data, err)
			}
		}
	})
}
