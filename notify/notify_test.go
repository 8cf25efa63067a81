package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

type alert struct {
	Symbol string
	Price  float64
}

func topics(t testing.TB, bus Bus) *Topics[alert] {
	t.Helper()
	topics, err := NewTopics[alert](bus, nil)
	if err != nil {
		t.Fatal(err)
	}
	return topics
}

func subscribe(t testing.TB, topics *Topics[alert], pattern string, opts *SubscribeOptions) *Subscription[alert] {
	t.Helper()
	sub, err := topics.Subscribe(ctx, pattern, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Close() })
	return sub
}

func publish(t testing.TB, topics *Topics[alert], topic string, price float64) {
	t.Helper()
	if err := topics.Publish(ctx, topic, alert{"AAPL", price}); err != nil {
		t.Fatal(err)
	}
}

func TestEveryMatchingSubscriptionGetsEveryMessageInOrder(t *testing.T) {
	topics := topics(t, NewLocal())
	all, price := subscribe(t, topics, "alerts:*", nil), subscribe(t, topics, "alerts:price", nil)
	publish(t, topics, "alerts:price", 1)
	publish(t, topics, "alerts:volume", 2)
	publish(t, topics, "other", 3)
	publish(t, topics, "alerts:price", 4)
	for _, c := range []struct {
		sub  *Subscription[alert]
		want []float64
	}{{all, []float64{1, 2, 4}}, {price, []float64{1, 4}}} {
		for _, want := range c.want {
			if m, err := c.sub.Next(ctx); err != nil || m.Value != (alert{"AAPL", want}) || m.Missed != 0 {
				t.Errorf("%+v, %v; want price %v", m, err, want)
			}
		}
	}
}

func TestOverflowIsReportedInItsPlace(t *testing.T) {
	for policy, want := range map[Overflow]string{
		DropOldest: "[missed 2 3 4]",
		DropNewest: "[1 2 missed 2]",
	} {
		topics := topics(t, NewLocal())
		sub := subscribe(t, topics, "t", &SubscribeOptions{Buffer: 2, Overflow: policy})
		for price := range 4 {
			publish(t, topics, "t", float64(price+1))
		}
		var got []string
		for range 3 {
			m, err := sub.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if m.Missed != 0 {
				got = append(got, fmt.Sprint("missed ", m.Missed))
			} else {
				got = append(got, fmt.Sprint(m.Value.Price))
			}
		}
		if fmt.Sprint(got) != want {
			t.Errorf("policy %d: %v, want %s", policy, got, want)
		}
	}
}

func TestBlockHoldsThePublisherUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topics := topics(t, NewLocal())
		sub := subscribe(t, topics, "t", &SubscribeOptions{Buffer: 1, Overflow: Block})
		publish(t, topics, "t", 1)
		published := make(chan error)
		go func() { published <- topics.Publish(ctx, "t", alert{"AAPL", 2}) }()
		synctest.Wait()
		if m, err := sub.Next(ctx); err != nil || m.Value.Price != 1 {
			t.Fatalf("%+v, %v", m, err)
		}
		if err := <-published; err != nil {
			t.Fatal(err)
		}
		late, cancel := context.WithCancel(ctx)
		go func() { published <- topics.Publish(late, "t", alert{"AAPL", 3}) }()
		synctest.Wait()
		cancel()
		if err := <-published; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if m, err := sub.Next(ctx); err != nil || m.Value.Price != 2 {
			t.Errorf("%+v, %v", m, err)
		}
		if m, err := sub.Next(ctx); err != nil || m.Missed != 1 {
			t.Errorf("the message that was given up is not told as missed: %+v, %v", m, err)
		}
	})
}

func TestAllGoesOnAfterWhatCannotBeDecoded(t *testing.T) {
	bus := NewLocal()
	topics := topics(t, bus)
	sub := subscribe(t, topics, "t", nil)
	publish(t, topics, "t", 1)
	if err := bus.Publish(ctx, "t", []byte("{")); err != nil {
		t.Fatal(err)
	}
	publish(t, topics, "t", 2)
	var got []string
	for m, err := range sub.All(ctx) {
		var decode *DecodeError
		switch {
		case errors.As(err, &decode):
			got = append(got, "bad "+decode.Topic)
			if strings.Contains(err.Error(), "{") {
				t.Errorf("the error quotes the payload: %v", err)
			}
		case err != nil:
			t.Fatal(err)
		default:
			got = append(got, fmt.Sprint(m.Value.Price))
		}
		if len(got) == 3 {
			if err := sub.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !slices.Equal(got, []string{"1", "bad t", "2"}) {
		t.Errorf("%v", got)
	}
}

func TestAllEndsWithItsContext(t *testing.T) {
	sub := subscribe(t, topics(t, NewLocal()), "t", nil)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	n := 0
	for _, err := range sub.All(cancelled) {
		if n++; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
	if n != 1 {
		t.Errorf("%d yields", n)
	}
}

func TestClose(t *testing.T) {
	bus := NewLocal()
	topics := topics(t, bus)
	sub, other := subscribe(t, topics, "t", nil), subscribe(t, topics, "t", nil)
	waiting := make(chan error)
	go func() { _, err := sub.Next(ctx); waiting <- err }()
	for range 2 {
		if err := sub.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-waiting; !errors.Is(err, ErrClosed) {
		t.Errorf("a reader that waits: %v", err)
	}
	publish(t, topics, "t", 1) // reaches the other one only
	if m, err := other.Next(ctx); err != nil || m.Value.Price != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	for range 2 {
		if err := bus.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := other.Next(ctx); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
	if err := topics.Publish(ctx, "t", alert{}); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
	if _, err := topics.Subscribe(ctx, "t", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
}

func TestBadArguments(t *testing.T) {
	topics := topics(t, NewLocal())
	if err := topics.Publish(ctx, "", alert{}); !errors.Is(err, ErrInvalidTopic) {
		t.Errorf("%v", err)
	}
	if _, err := topics.Subscribe(ctx, "", nil); !errors.Is(err, ErrInvalidTopic) {
		t.Errorf("%v", err)
	}
	for field, opts := range map[string]*SubscribeOptions{"Buffer": {Buffer: -1}, "Overflow": {Overflow: 9}} {
		if _, err := topics.Subscribe(ctx, "t", opts); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
	if _, err := NewTopics[alert](nil, nil); err == nil {
		t.Error("a nil bus is accepted")
	}
	if _, err := NewTopics(NewLocal(), &Options[alert]{Encode: encodeJSON[alert]}); err == nil {
		t.Error("Encode without Decode is accepted")
	}
	bad, err := NewTopics[func()](NewLocal(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := bad.Publish(ctx, "t", func() {}); err == nil {
		t.Error("what JSON cannot hold was published")
	}
}

func TestOwnCodec(t *testing.T) {
	topics, err := NewTopics(NewLocal(), &Options[string]{
		Encode: func(v string) ([]byte, error) { return []byte(v), nil },
		Decode: func(data []byte) (string, error) { return strings.ToUpper(string(data)), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	sub, err := topics.Subscribe(ctx, "t", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := topics.Publish(ctx, "t", "abc"); err != nil {
		t.Fatal(err)
	}
	if m, err := sub.Next(ctx); err != nil || m.Value != "ABC" {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, topic string
		match          bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"a*", "a", true}, {"a*", "abc", true}, {"*", "", true}, {"*", "x:y", true},
		{"*a", "bca", true}, {"*a", "ab", false}, {"a*b*c", "a-b-c", true}, {"a*b*c", "acb", false}, {"a*b*c", "abbc", true},
		{"a*a", "a", false}, {"a*a", "aa", true}, {"**", "x", true}, {`a\*`, "a*", true}, {`a\*`, "ab", false},
		{`a\\`, `a\`, true}, {`a\`, `a\`, true}, {"a?", "ab", false}, {"[a]", "a", false}, {"[a]", "[a]", true},
		{"x*yz*z", "xyzz", true}, {"x*yz*z", "xyz", false},
	} {
		if got := ParsePattern(c.pattern).Match(c.topic); got != c.match {
			t.Errorf("%q matches %q: %v, want %v", c.pattern, c.topic, got, c.match)
		}
	}
	for _, topic := range []string{"a", "a*b", `\`, `\*`, "?[x]"} {
		if got, ok := ParsePattern(Escape(topic)).Literal(); !ok || got != topic {
			t.Errorf("Escape(%q) is the pattern of %q, %v", topic, got, ok)
		}
	}
}

// A star of the pattern is nothing but a place where a topic may have more.
func FuzzPattern(f *testing.F) {
	f.Add("a*b", "x")
	f.Add(`\**`, "")
	f.Fuzz(func(t *testing.T, pattern, filling string) {
		p := ParsePattern(pattern)
		if topic := strings.Join(p.Parts(), filling); !p.Match(topic) {
			t.Fatalf("%q does not match %q", pattern, topic)
		}
	})
}

func TestManyPublishersAndSubscribers(t *testing.T) {
	const publishers, each = 8, 200
	topics := topics(t, NewLocal())
	var readers, writers sync.WaitGroup
	for range 4 {
		sub := subscribe(t, topics, "t:*", &SubscribeOptions{Buffer: 4, Overflow: Block})
		readers.Go(func() {
			last := map[string]float64{}
			for range publishers * each {
				m, err := sub.Next(ctx)
				if err != nil || m.Missed != 0 || m.Value.Price != last[m.Topic]+1 {
					t.Errorf("%+v after %v, %v", m, last[m.Topic], err)
					return
				}
				last[m.Topic]++
			}
		})
	}
	for p := range publishers {
		writers.Go(func() {
			for i := range each {
				if err := topics.Publish(ctx, fmt.Sprint("t:", p), alert{"AAPL", float64(i + 1)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	readers.Wait()
}
