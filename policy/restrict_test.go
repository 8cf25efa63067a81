package policy

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestRestrict(t *testing.T) {
	s, err := Parse([]byte(`rules:
- {keys: a, ttl: never, tiers: [memory, redis]}
- {keys: b, class: hot, tier_ttl: {memory: 1s, redis: 1m}}
- {keys: c, class: hot, tiers: [redis]}
`))
	if err != nil {
		t.Fatal(err)
	}
	all, err := s.Restrict("memory", "redis", "disk")
	if err != nil || !reflect.DeepEqual(all.Rules(), s.Rules()) {
		t.Errorf("with all tiers: %v, %v", all, err)
	}
	_, err = s.Restrict("memory", "disk")
	if err == nil || !strings.Contains(err.Error(), "line 4: c: tiers: redis: none of them is configured (there are: memory, disk)") {
		t.Errorf("a rule without a tier: %v", err)
	}
	s, err = New(*s.Lookup("b"), Rule{Keys: MustPattern("a"), TTL: Never, Tiers: []string{"memory", "redis"}})
	if err != nil {
		t.Fatal(err)
	}
	few, err := s.Restrict("memory")
	if err != nil {
		t.Fatal(err)
	}
	if a := few.Lookup("a"); a.TTL != 0 || !reflect.DeepEqual(a.Tiers, []string{"memory"}) {
		t.Errorf("a = %+v", a)
	}
	if b := few.Lookup("b"); !reflect.DeepEqual(b.TierTTL, map[string]time.Duration{"memory": time.Second}) || b.Tiers != nil {
		t.Errorf("b = %+v", b)
	}
	var none *Set
	if got, err := none.Restrict("memory"); got != nil || err != nil {
		t.Errorf("a nil set: %v, %v", got, err)
	}
}

func TestWithoutDurable(t *testing.T) {
	s, err := Parse([]byte("rules:\n- {keys: a, ttl: never, write: back, durable: true}\n- {keys: b, class: hot}\n"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.WithoutDurable()
	if err != nil {
		t.Fatal(err)
	}
	if a := got.Lookup("a"); a.Durable || a.Write != WriteBack || a.TTL != 0 || a.Line() != 2 {
		t.Errorf("a = %+v", a)
	}
	if !s.Lookup("a").Durable || !reflect.DeepEqual(got.Lookup("b"), s.Lookup("b")) {
		t.Error("something else changed")
	}
	var none *Set
	if got, err := none.WithoutDurable(); got != nil || err != nil {
		t.Errorf("a nil set: %v, %v", got, err)
	}
}
