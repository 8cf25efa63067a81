package chain

import (
	"testing"
	"unsafe"

	"github.com/stratacache/strata/marshal"
)

// A string is its own encoding and is not copied for it; what another codec makes
// of it, or an empty one, is.
func TestStringsAreEncodedWithoutACopy(t *testing.T) {
	text, err := marshal.Text[string]()
	if err != nil {
		t.Fatal(err)
	}
	v := "value"
	plain := &codecOf[string]{Codec: text, name: "text", plain: true}
	b, ok := plain.borrow(v)
	if !ok || unsafe.SliceData(b) != unsafe.StringData(v) || len(b) != len(v) || cap(b) != len(v) {
		t.Errorf("borrow: %q, %v; want the bytes of the string itself", b, ok)
	}
	for name, k := range map[string]*codecOf[string]{"empty": plain, "other": {Codec: text, name: "text+zstd"}} {
		if b, ok := k.borrow(map[string]string{"other": v}[name]); ok {
			t.Errorf("%s: borrowed %q", name, b)
		}
	}
	if b, ok := (&codecOf[int]{plain: true}).borrow(1); ok {
		t.Errorf("a number: borrowed %q", b)
	}
}

// A string that a tier had is not copied either, under its own codec.
func TestStringsAreDecodedWithoutACopy(t *testing.T) {
	text, err := marshal.Text[string]()
	if err != nil {
		t.Fatal(err)
	}
	plain, data := &codecOf[string]{Codec: text, name: "text", plain: true}, []byte("value")
	if v, ok := plain.lend(data); !ok || v != "value" || unsafe.StringData(v) != unsafe.SliceData(data) {
		t.Errorf("lend: %q, %v; want the bytes themselves", v, ok)
	}
	if v, ok := plain.lend([]byte{}); ok {
		t.Errorf("an empty value: lent %q", v)
	}
	if v, ok := (&codecOf[string]{Codec: text, name: "text+zstd"}).lend(data); ok {
		t.Errorf("another codec: lent %q", v)
	}
	if v, ok := (&codecOf[int]{plain: true}).lend(data); ok {
		t.Errorf("a number: lent %d", v)
	}
}
