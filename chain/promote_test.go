package chain_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/store/faultstore"
)

// A write that its tier has yet to take outlives the bound of memory.
func TestPendingWriteOutlivesMemorysBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := faultstore.New(newMap())
		c := newChain(t, []chain.Tier{{Name: "memory", Store: newObjects(9), TTL: time.Second}, {Name: "disk", Store: disk, WriteBack: true}}, "", nil)
		cache := chain.NewCache[string](c, nil)
		stop := disk.Inject(faultstore.Fault{Op: faultstore.OpWrites, Err: errBoom})
		noErr(t, cache.Set(t.Context(), "k", "v"))
		for range 5 {
			time.Sleep(10 * time.Second)
			v, err := cache.Get(t.Context(), "k")
			want(t, v, err, "v")
		}
		stop()
		flush(t, c)
	})
}
