package faultstore

import "time"

// Op is a set of operations.
type Op uint16

// The operations. GetObject counts as OpGet and SetObject as OpSet.
const (
	OpGet Op = 1 << iota
	OpSet
	OpDelete
	OpFill
	OpGetMany
	OpSetMany
	OpDeleteMany
	OpScan
	OpClear
	OpClose
	OpSync

	numOps = iota

	OpReads  = OpGet | OpGetMany | OpScan
	OpWrites = OpSet | OpDelete | OpFill | OpSetMany | OpDeleteMany | OpClear
	OpAll    = OpReads | OpWrites | OpClose | OpSync
)

var opNames = [numOps]string{"get", "set", "delete", "fill", "getmany", "setmany", "deletemany", "scan", "clear", "close", "sync"}

// String returns the operation's name as in store.Error, several joined by "|".
func (o Op) String() string {
	s := ""
	for i, name := range opNames {
		if o&(1<<i) == 0 {
			continue
		}
		if s != "" {
			s += "|"
		}
		s += name
	}
	return s
}

// Fault says which calls fail, and how. What applies happens in this order: Do,
// Delay, Hang, then Err. A Fault with none of them only counts.
//
// Several faults may hit one call: their hooks, delays and hangs all happen, in
// the order of injection, and the first Err is the call's.
type Fault struct {
	// Op is the set of operations hit.
	Op Op
	// Key selects keys; nil selects all. A Scan is selected by its prefix, a
	// Clear, a Sync and a Close by the empty key. A batch is hit if any of its keys is
	// selected, and counts as one call.
	Key func(key string) bool
	// Skip is how many selected calls pass before the first hit, Times how many
	// are hit from then on; 0 means for ever.
	Skip, Times int

	// Do runs before the operation, without any lock held: it may use the store.
	// In a batch it runs once per selected key, in the order of the keys (of a
	// map: in ascending order).
	Do func(op Op, key string)
	// Delay is how long the call waits. A context that ends meanwhile ends the
	// call with its error.
	Delay time.Duration
	// Hang makes the call wait until its context ends, Release or Reset.
	Hang bool
	// Err is what the call returns. store.ErrNotFound and a *store.Error are
	// returned as they are, others as the Err of a *store.Error. In a batch hit
	// by a fault with a Key, the selected keys fail, in a *store.BatchError, and
	// the others are served; with a nil Key the call fails as a whole. A Scan
	// yields it, before any key.
	Err error
	// AfterOp does the operation before Err is returned: a lost acknowledgement.
	AfterOp bool
}

// injected is a fault with its count of selected calls.
type injected struct {
	Fault
	seen int
}

// selects reports whether the fault looks at a call with these keys.
func (f *Fault) selects(op Op, keys []string) bool {
	if f.Op&op == 0 {
		return false
	}
	if f.Key == nil {
		return true
	}
	for _, key := range keys {
		if f.Key(key) {
			return true
		}
	}
	return false
}

// hits counts a selected call and reports whether it is one of those to hit.
func (f *injected) hits() bool {
	f.seen++
	return f.seen > f.Skip && (f.Times == 0 || f.seen <= f.Skip+f.Times)
}

// has reports whether the fault selects key.
func (f *Fault) has(key string) bool { return f.Key == nil || f.Key(key) }
