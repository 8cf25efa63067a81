package storetest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stratacache/strata/store"
)

func keyCases() []testCase {
	return []testCase{
		{"EmptyKey", "the empty key is store.ErrInvalidKey on every operation, and does not spoil the rest of a batch", testEmptyKey},
		{"KeyForms", "keys are bytes: separators, wildcards, path elements, NUL, any script and invalid UTF-8 " +
			"each name an entry of their own, or are refused as store.ErrInvalidKey", testKeyForms},
		{"LongKeys", "a long key is stored whole or refused as store.ErrTooLarge or store.ErrInvalidKey; " +
			"it is never cut, for then two keys would share a value", testLongKeys},
	}
}

func testEmptyKey(h *harness) {
	for _, op := range keyOperations(h.s) {
		h.failure(op.name+" of the empty key", op.do(h.ctx, ""), store.ErrInvalidKey)
	}
	for try := 1; ; try++ {
		err := store.SetMany(h.ctx, h.s, map[string]store.Entry{"": text("x"), "good": text("v")})
		if kerr := store.KeyError(err, "good"); kerr != nil {
			h.Fatalf("SetMany with an empty key among others: error %v for the good key; want nil", kerr)
		}
		got, err := store.GetMany(h.ctx, h.s, []string{"", "good"})
		if kerr := store.KeyError(err, "good"); kerr != nil {
			h.Fatalf("GetMany with an empty key among others: error %v for the good key; want nil", kerr)
		}
		if string(got["good"].Value) == "v" {
			break
		}
		if !h.opts.Evicts || try == maxTries {
			h.Fatal("a batch with an empty key lost the good key")
		}
	}
	if kerr := store.KeyError(store.DeleteMany(h.ctx, h.s, []string{"", "good"}), "good"); kerr != nil {
		h.Errorf("DeleteMany with an empty key among others: error %v for the good key; want nil", kerr)
	}
	h.absent("good", "after DeleteMany with an empty key among others")
}

// oddKeys are pairwise different keys that careless stores confuse.
func oddKeys() []string {
	return []string{
		"a", "A", "a ", " a", "a\n", "a\r\n", "a\x00", "a\x00b", "\x00", "a:", "a:b", "a::b", ":a", ":", "::",
		"BTC/USDT", "BTC%2FUSDT", "BTC_USDT", `BTC\USDT`, "price:BTC/USDT",
		".", "..", "../a", "../../etc/passwd", "/a", "a/", "a/../a", "./a", "CON", "a.parquet",
		"*", "a*", "?", "[a]", "[a-z]*", "{a}", "{a}b", "{b}a", `\*`, "%", "%s", "$", "'", `"`, "`", ";", "--",
		"\u00e9", "e\u0301", "Ünïcödé", "价格:苹果", "🚀", "\ufeffa", "\u202ea", "\xff", "\xff\xfe", "\xc3\x28", "é\x80",
		strings.Repeat("a", 2), strings.Repeat("a", 3), "hist:AAPL:1d:1y", "hist:AAPL:1d1:y", "hist:AAPL:1d", "null", "nil", "0", "00", "-0",
	}
}

func testKeyForms(h *harness) {
	keys := oddKeys()
	refused := map[string]bool{}
	for _, key := range keys {
		switch err := h.s.Set(h.ctx, key, text("value of "+key)); {
		case err == nil:
		case errors.Is(err, store.ErrInvalidKey):
			refused[key] = true
		default:
			h.Errorf("Set(%s): %v; want nil or store.ErrInvalidKey", show(key), err)
		}
	}
	for _, key := range keys {
		if !refused[key] {
			h.has(key, text("value of "+key))
		}
	}
	for i, key := range keys {
		if refused[key] {
			continue
		}
		h.del(key)
		h.absent(key, "after Delete")
		if next := keys[(i+1)%len(keys)]; i+1 < len(keys) && !refused[next] {
			h.has(next, text("value of "+next))
		}
	}
}

func testLongKeys(h *harness) {
	for _, n := range []int{200, 250, 251, 255, 256, 257, 511, 512, 1023, 1024, 1025, 4096, 32767, 32768, 65535, 65536, 1 << 20} {
		// Differ at the end, at the start and in length: cut, hashed in part, or
		// folded, two of them would collide.
		stem := strings.Repeat("k", n-1)
		keys := []string{stem + "a", stem + "b", "a" + stem, stem, stem + "ab"}
		var stored []string
		for _, key := range keys {
			err := h.s.Set(h.ctx, key, text(fmt.Sprint(len(key), key[:1], key[len(key)-1:])))
			switch {
			case err == nil:
				stored = append(stored, key)
			case errors.Is(err, store.ErrTooLarge), errors.Is(err, store.ErrInvalidKey):
				if e, err := h.s.Get(h.ctx, key); err == nil {
					h.Errorf("Get of a refused key of %d bytes: returned %s; want an error", len(key), showBytes(e.Value))
				}
			default:
				h.Errorf("Set of a key of %d bytes: %v; want nil, store.ErrTooLarge or store.ErrInvalidKey", len(key), err)
			}
		}
		for _, key := range stored {
			h.has(key, text(fmt.Sprint(len(key), key[:1], key[len(key)-1:])))
		}
	}
}
