package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/stratacache/strata/store"
)

// register is the state of one key in the model.
type register struct {
	present bool
	value   string
	version uint64
}

// call is the input of an operation and answer its output.
type (
	call struct {
		op      string // "get", "set", "fill", "delete"
		key     string
		value   string
		version uint64
	}
	answer struct {
		found, stored bool
		value         string
	}
)

// model is a register with a conditional write. Where the store evicts, a miss
// is right at any time, but what was missed stays lost until it is set again.
func model(evicts bool) porcupine.Model {
	return porcupine.Model{
		Partition: partition,
		Init:      func() any { return register{} },
		Step: func(state, input, output any) (bool, any) {
			return step(state.(register), input.(call), output.(answer), evicts)
		},
		DescribeOperation: func(input, output any) string {
			return fmt.Sprintf("%+v -> %+v", input, output)
		},
	}
}

func step(r register, in call, out answer, evicts bool) (bool, any) {
	next := register{present: true, value: in.value, version: in.version}
	switch in.op {
	case "set":
		return true, next
	case "delete":
		return true, register{}
	case "fill":
		wins := !r.present || store.Newer(in.version, r.version)
		if !out.stored {
			return !wins, r
		}
		return wins || evicts, next
	default:
		if !out.found {
			return !r.present || evicts, register{}
		}
		return r.present && r.value == out.value, r
	}
}

func partition(history []porcupine.Operation) [][]porcupine.Operation {
	byKey := map[string][]porcupine.Operation{}
	for _, op := range history {
		key := op.Input.(call).key
		byKey[key] = append(byKey[key], op)
	}
	parts := make([][]porcupine.Operation, 0, len(byKey))
	for _, p := range byKey {
		parts = append(parts, p)
	}
	return parts
}

// recorder runs random operations and notes when each began and ended.
type recorder struct {
	h     *harness
	start time.Time
	keys  []string
	fills bool

	clock   atomic.Uint64 // versions
	mu      sync.Mutex
	history []porcupine.Operation
}

func (r *recorder) run(client, ops int) {
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(client)))
	for i := range ops {
		value := fmt.Sprintf("c%d#%d", client, i)
		key := r.keys[rng.IntN(len(r.keys))]
		switch n := rng.IntN(100); {
		case n < 40:
			r.get(client, key)
		case n < 65:
			r.one(client, call{op: "set", key: key, value: value, version: r.clock.Add(1)})
		case n < 75 && r.fills:
			r.one(client, call{op: "fill", key: key, value: value, version: r.clock.Add(1)})
		case n < 85:
			r.one(client, call{op: "delete", key: key})
		case n < 92:
			r.getMany(client)
		case n < 96:
			r.setMany(client, value)
		default:
			r.deleteMany(client)
		}
	}
}

func (r *recorder) now() int64 { return int64(time.Since(r.start)) }

// note records one operation that began at t and has just ended.
func (r *recorder) note(client int, t int64, in call, out answer, err error) {
	end := r.now()
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		r.h.Errorf("%s(%q) under concurrency: %v", in.op, in.key, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history = append(r.history, porcupine.Operation{ClientId: client, Input: in, Call: t, Output: out, Return: end})
}

func (r *recorder) get(client int, key string) {
	t := r.now()
	e, err := r.h.s.Get(r.h.ctx, key)
	r.note(client, t, call{op: "get", key: key}, answer{found: err == nil, value: string(e.Value)}, err)
}

func (r *recorder) one(client int, in call) {
	var (
		err error
		out answer
		e   = store.Entry{Value: []byte(in.value), Version: in.version}
		t   = r.now()
	)
	switch in.op {
	case "set":
		err = r.h.s.Set(r.h.ctx, in.key, e)
	case "fill":
		out.stored, err = store.Fill(r.h.ctx, r.h.s, in.key, e)
	case "delete":
		err = r.h.s.Delete(r.h.ctx, in.key)
	}
	r.note(client, t, in, out, err)
}

// A batch is one operation per key, all with the batch's own interval. Porcupine
// takes a client to do one thing at a time, so each key gets a client of its own.
func (r *recorder) getMany(client int) {
	t := r.now()
	m, err := store.GetMany(r.h.ctx, r.h.s, r.keys)
	for i, key := range r.keys {
		e, ok := m[key]
		r.note(batchClient(client, i), t, call{op: "get", key: key}, answer{found: ok, value: string(e.Value)}, err)
	}
}

func (r *recorder) setMany(client int, value string) {
	batch := map[string]store.Entry{}
	for _, key := range r.keys {
		batch[key] = store.Entry{Value: []byte(value), Version: r.clock.Add(1)}
	}
	t := r.now()
	err := store.SetMany(context.WithoutCancel(r.h.ctx), r.h.s, batch)
	for i, key := range r.keys {
		r.note(batchClient(client, i), t, call{op: "set", key: key, value: value, version: batch[key].Version}, answer{}, err)
	}
}

func (r *recorder) deleteMany(client int) {
	t := r.now()
	err := store.DeleteMany(r.h.ctx, r.h.s, r.keys)
	for i, key := range r.keys {
		r.note(batchClient(client, i), t, call{op: "delete", key: key}, answer{}, err)
	}
}

func batchClient(client, i int) int { return 100 + client*10 + i }

// check reports whether the history is linearizable, and fails the test if not.
func (r *recorder) check() bool {
	switch porcupine.CheckOperationsTimeout(model(r.h.opts.Evicts), r.history, 30*time.Second) {
	case porcupine.Ok:
		return true
	case porcupine.Unknown:
		r.h.Logf("porcupine found no answer within its time for a history of %d operations", len(r.history))
		return true
	default:
		r.h.Errorf("no order of these %d operations on %q explains the answers", len(r.history), r.keys)
		return false
	}
}
