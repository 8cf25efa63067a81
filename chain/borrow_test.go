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
