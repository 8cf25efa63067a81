package market

import (
	"testing"

	"github.com/stratacache/strata/policy"
)

// Every key that is asked for has a rule; none falls to the chain's default.
func TestTopicsHaveRules(t *testing.T) {
	rules := policy.MarketData()
	n := 0
	for _, topic := range topics([]string{"AAPL", "MSFT"}) {
		if topic.together < 1 {
			t.Errorf("%s would never be asked", topic.name)
		}
		for _, q := range topic.questions {
			for _, key := range q.keys {
				n++
				if rules.Match(key) == nil {
					t.Errorf("no rule for %s", key)
				}
			}
		}
	}
	if want := 4*2 + 3 + 2; n != want {
		t.Errorf("%d keys, want %d", n, want)
	}
}
