package chain

import (
	"testing"
	"time"
)

type node struct {
	Name string
	Kids []*node
}

func TestSizeOf(t *testing.T) {
	at := func(name string, got, least, most int64) {
		t.Helper()
		if got < least || got > most {
			t.Errorf("%s: %d bytes; want %d to %d", name, got, least, most)
		}
	}
	at("int", sizeOf(ptr(1)), 0, 0)
	at("time", sizeOf(ptr(time.Now())), 0, 4096)
	at("string", sizeOf(ptr("hello")), 5, 5)
	at("bytes", sizeOf(ptr(make([]byte, 3, 100))), 100, 100)
	at("ints", sizeOf(ptr(make([]int64, 10))), 80, 80)
	at("strings", sizeOf(ptr([]string{"ab", "cd"})), 36, 36)
	at("map", sizeOf(ptr(map[string]int64{"a": 1, "b": 2})), 50, 200)
	at("empty map", sizeOf(ptr(map[string]int64{})), 1, 100)
	at("nil map", sizeOf(ptr(map[string]int64(nil))), 0, 100)
	at("pointer", sizeOf(ptr(&node{Name: "abc"})), 40, 60)
	at("nil", sizeOf(ptr((*node)(nil))), 0, 0)
	at("any", sizeOf(ptr(any("hello"))), 5, 30)
	at("struct", sizeOf(ptr(node{Name: "abc"})), 3, 3)
	at("sizer", sizeOf(ptr(sized{})), 4242, 4242)
	at("array", sizeOf(ptr([2]string{"ab", "cd"})), 4, 4)
	at("long list", sizeOf(ptr(make([]string, 1000))), 16000, 16000)
}

func ptr[V any](v V) *V { return &v }

// TestSizeOfTextCostsNothing: most values are one of these, and every write asks.
func TestSizeOfTextCostsNothing(t *testing.T) {
	text, data := "hello", []byte("hello")
	if n := testing.AllocsPerRun(100, func() {
		if sizeOf(&text) != 5 || sizeOf(&data) < 5 {
			t.Error("another size")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type sized struct{}

func (sized) Size() int { return 4242 }

// A graph that refers to itself on every path is not walked along all of them.
func TestSizeOfAGraph(t *testing.T) {
	root := &node{Name: "root"}
	for range 64 {
		root.Kids = append(root.Kids, root)
	}
	if n := sizeOf(&root); n <= 0 {
		t.Errorf("size %d", n)
	}
}

func TestBarriersAreBounded(t *testing.T) {
	var b barriers
	name := func(i int) string { return string(rune(i)) + "tag" }
	for i := range 3 * maxTags {
		b.raise(name(i), uint64(i+1))
		b.bound()
	}
	if len(b.tags) > maxTags {
		t.Errorf("%d barriers; want at most %d", len(b.tags), maxTags)
	}
	for i := range 3 * maxTags {
		if b.of(name(i)) < uint64(i+1) {
			t.Fatalf("the barrier of tag %d is gone", i)
		}
	}
}
