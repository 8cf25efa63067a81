package caches

import (
	"context"
	"errors"
	"testing"
)

// TestEveryCache: what is measured must work: what was set is read, an absent key
// is absent, and a loader's value and error arrive.
func TestEveryCache(t *testing.T) {
	failure := errors.New("no such thing")
	loads := 0
	cfg := &Config[string]{Entries: 4000, Bytes: 4 << 20, Loader: func(_ context.Context, key string) (string, error) {
		loads++
		if key == "price:bad" {
			return "", failure
		}
		return "loaded " + key, nil
	}}
	for _, m := range All[string]() {
		t.Run(m.Name, func(t *testing.T) {
			c, keys := m.Open(t, cfg), Keys(1000)
			Fill(t, c, keys, func(i int) string { return "v" + keys[i] })
			for _, k := range keys {
				if v, ok := c.Get(k); !ok || v != "v"+k {
					t.Fatalf("%s = %q, %v", k, v, ok)
				}
			}
			if v, ok := c.Get("price:absent"); ok {
				t.Errorf("an absent key is %q", v)
			}
			if c.Load == nil {
				return
			}
			loads = 0
			if v, err := c.Load("price:new"); err != nil || v != "loaded price:new" || loads != 1 {
				t.Errorf("%q, %v after %d loads", v, err, loads)
			}
			if _, err := c.Load("price:bad"); err == nil {
				t.Error("the loader's error is lost")
			}
		})
	}
}
