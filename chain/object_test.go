package chain

import (
	"context"
	"testing"
	"time"

	"github.com/stratacache/strata/policy"
)

// A loaded value carries what its load took only where the rule refreshes early: any
// other is one allocation, and can be packed.
func TestLoadTimeIsKeptForEarlyRefresh(t *testing.T) {
	ctx := context.Background()
	for _, early := range []float64{0, 1} {
		rules, err := policy.New(policy.Rule{Keys: policy.MustPattern("k"), TTL: time.Hour, Early: early})
		if err != nil {
			t.Fatal(err)
		}
		mem := &objects{m: map[string]any{}}
		c, err := New([]Tier{{Name: "memory", Store: mem}}, rules, nil)
		if err != nil {
			t.Fatal(err)
		}
		load := func(context.Context, string) (string, error) { return "v", nil }
		if _, err := NewCache[string](c, nil).GetOrLoad(ctx, "k", load); err != nil {
			t.Fatal(err)
		}
		x, _ := mem.GetObject("k")
		o := x.(*object[string])
		if got, want := o.loadTime() > 0, early > 0; got != want {
			t.Errorf("early %v: load time kept: %v; want %v", early, got, want)
		}
		if early == 0 && o.more != nil {
			t.Errorf("a loaded value without early refresh has %+v", *o.more)
		}
		if err := c.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
}
