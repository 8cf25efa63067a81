package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stratacache/strata/store"
)

func lifeCases() []testCase {
	return []testCase{
		{"Closed", "use after Close is store.ErrClosed on every operation, and a second Close is nil", testClosed},
		{"CloseUnderLoad", "a Close while other goroutines use the store neither panics nor hangs: " +
			"they get answers or store.ErrClosed", testCloseUnderLoad},
	}
}

func testClosed(h *harness) {
	h.put("k", text("v"))
	if err := h.s.Close(); err != nil {
		h.Fatalf("Close: %v; want nil", err)
	}
	for range 2 {
		for _, op := range operations(h.s) {
			err := op.do(h.ctx, "k")
			if errors.Is(err, errors.ErrUnsupported) {
				continue
			}
			h.failure(op.name+" after Close", err, store.ErrClosed)
		}
		if err := h.s.Close(); err != nil {
			h.Errorf("second Close: %v; want nil", err)
		}
	}
	store.StatsOf(h.s) // must not panic
	if o, ok := h.s.(store.Objects); ok {
		if _, ok := o.GetObject("k"); ok {
			h.Error("GetObject after Close: found an object")
		}
		h.failure("SetObject after Close", o.SetObject("k", 1, 8, time.Time{}), store.ErrClosed)
	}
}

func testCloseUnderLoad(h *harness) {
	var wg sync.WaitGroup
	started := make(chan struct{}, 8)
	for w := range 8 {
		wg.Go(func() {
			key := fmt.Sprint("k", w%3)
			for i := 0; ; i++ {
				ops := operations(h.s)
				op := ops[(i+w)%len(ops)]
				if i == 20 {
					started <- struct{}{}
				}
				switch err := op.do(h.ctx, key); {
				case errors.Is(err, store.ErrClosed):
					if i < 20 {
						started <- struct{}{}
					}
					return
				case err == nil, errors.Is(err, store.ErrNotFound), errors.Is(err, errors.ErrUnsupported):
				default:
					h.Errorf("%s while the store closes: %v; want an answer or store.ErrClosed", op.name, err)
				}
			}
		})
	}
	for range 8 {
		<-started
	}
	var closers sync.WaitGroup
	for range 2 {
		closers.Go(func() {
			if err := h.s.Close(); err != nil {
				h.Errorf("Close under load: %v; want nil", err)
			}
		})
	}
	closers.Wait()
	wg.Wait()
}
