package index

import "sync/atomic"

// Cell is what the engine holds of a key: the newest object, which a write can
// exchange without the engine. Create it with NewCell. Readers and the engine may use
// it while the one who writes the key does.
type Cell struct {
	head atomic.Pointer[Header] // or one of the two below
	hash uint64                 // of the key; see Key
	cost int64
}

// What a cell has in place of an object that is gone.
var (
	dropped  Header // by the engine itself
	replaced Header // another cell is in its place, or the engine was told to drop it
)

// NewCell makes a cell of h's object, whose key has this hash. cost is what the engine
// is told of it. The caller is the only one who writes the object's key.
func NewCell(h *Header, hash uint64, cost int64) *Cell {
	c := &Cell{hash: hash, cost: cost}
	c.head.Store(h)
	h.cell.Store(c)
	return c
}

// Hash is that of the key.
func (c *Cell) Hash() uint64 { return c.hash }

// Cost is what the engine was told.
func (c *Cell) Cost() int64 { return c.cost }

// live returns the header of the object, nil if it is gone.
func (c *Cell) live() *Header {
	if h := c.head.Load(); h != &dropped && h != &replaced {
		return h
	}
	return nil
}

// Object returns the object, nil if it is gone, or if the cell is nil or of another
// key than k: the engine knows keys by their first hash only.
func (c *Cell) Object(k Key) any {
	if c == nil {
		return nil
	}
	if h := c.live(); h != nil && h.check == k.Check {
		return h.Object()
	}
	return nil
}

// Held returns the object, whichever its key; nil if it is gone.
func (c *Cell) Held() any {
	if h := c.live(); h != nil {
		return h.Object()
	}
	return nil
}

// Suits reports whether the engine, which was told of another cost, need not hear of
// this one: it is not more, and hardly less.
func (c *Cell) Suits(cost int64) bool { return cost <= c.cost && c.cost-cost <= c.cost/8 }

// Exchange puts h's object in place of the older one, and reports whether that was
// still there. The caller is the only one who writes their key.
func (c *Cell) Exchange(h *Header) bool {
	was := c.live()
	if was == nil || !c.head.CompareAndSwap(was, h) {
		return false
	}
	h.cell.Store(c)
	return true
}

// Drop notes that the engine has dropped the cell by itself, and returns the header of
// the object that it had; nil if it was gone before.
func (c *Cell) Drop() *Header { return c.end(&dropped) }

// DropOnly is Drop for a cell that still has h's object, and reports whether it had.
func (c *Cell) DropOnly(h *Header) bool { return c.head.CompareAndSwap(h, &dropped) }

// Replace notes that the engine has let go of the cell; if Drop came before, by itself.
// It returns the header of the object that the cell had, nil if it was gone before.
func (c *Cell) Replace() *Header { return c.end(&replaced) }

func (c *Cell) end(state *Header) *Header {
	for {
		h := c.live()
		if h == nil || c.head.CompareAndSwap(h, state) {
			return h
		}
	}
}

// Gone reports whether the engine has let go of the cell.
func (c *Cell) Gone() bool { return c.live() == nil }

// Replaced reports whether the engine has let go of the cell because somebody replaced
// or removed it.
func (c *Cell) Replaced() bool { return c.head.Load() == &replaced }
