package rediscall

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/redis/go-redis/v9"
)

func TestAwait(t *testing.T) {
	failure := errors.New("failed")
	synctest.Test(t, func(t *testing.T) {
		if done, err := Await(context.Background(), func() error { return failure }); !done || !errors.Is(err, failure) {
			t.Errorf("without a context that ends: %v, %v", done, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if done, err := Await(ctx, func() error { return failure }); !done || !errors.Is(err, failure) {
			t.Errorf("an answer in time: %v, %v", done, err)
		}
		release := make(chan struct{})
		go func() {
			synctest.Wait()
			cancel()
		}()
		if done, err := Await(ctx, func() error { <-release; return nil }); done || !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v, %v", done, err)
		}
		close(release)
	})
}

func TestStampMarksCommandsThatHaveNoErrorOfTheirOwn(t *testing.T) {
	ctx, failure := context.Background(), errors.New("WRONGPASS")
	a, b := redis.NewStringCmd(ctx, "get", "a"), redis.NewStringCmd(ctx, "get", "b")
	stamp([]redis.Cmder{a, b}, nil)
	if a.Err() != nil {
		t.Error("stamped without an error")
	}
	stamp([]redis.Cmder{a, b}, failure)
	if !errors.Is(a.Err(), failure) || !errors.Is(b.Err(), failure) {
		t.Errorf("%v, %v", a.Err(), b.Err())
	}
	b.SetErr(nil)
	stamp([]redis.Cmder{a, b}, failure)
	if b.Err() != nil {
		t.Error("a command that succeeded in a pipeline with a failure was stamped")
	}
}

func TestNilClientsAreRefused(t *testing.T) {
	for _, client := range []redis.UniversalClient{nil, (*redis.Client)(nil), (*redis.ClusterClient)(nil), (*redis.Ring)(nil)} {
		if err := Check(client); !errors.Is(err, ErrNilClient) {
			t.Errorf("%T: %v", client, err)
		}
	}
}
