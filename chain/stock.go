package chain

import "github.com/stratacache/strata/store"

// Items of a batch, and flights, are made many at once. Items are used again for later
// batches; flights are not, for others may wait for them.
const (
	stockPart   = 32 // in a part
	stockKept   = 16 // parts are kept
	flightsMade = 64 // at most
)

// stock is what the items of a batch are taken from.
type stock[V any] struct {
	parts [][]item[V]
	n     int
	fresh []flight // not claimed yet
	said  []store.Answer
}

// item returns a new item.
func (b *batch[V]) item() *item[V] {
	if b.stock == nil {
		if b.stock, _ = b.c.stocks.Get().(*stock[V]); b.stock == nil {
			b.stock = new(stock[V])
		}
	}
	st := b.stock
	part, at := st.n/stockPart, st.n%stockPart
	if part == len(st.parts) {
		st.parts = append(st.parts, make([]item[V], stockPart))
	}
	st.n++
	return &st.parts[part][at]
}

// flight returns a flight to be claimed, the last one again where that has not been.
// At most n more are to come. It follows item.
func (b *batch[V]) flight(n int) *flight {
	st := b.stock
	if len(st.fresh) > 0 && st.fresh[0].shard != nil {
		st.fresh = st.fresh[1:]
	}
	if len(st.fresh) == 0 {
		st.fresh = make([]flight, min(n, flightsMade))
	}
	return &st.fresh[0]
}

// room returns room for the answers of a tier that a caller asks: work that goes on
// without him may be done beside him, and by several.
func (b *batch[V]) room(here bool) []store.Answer {
	if !here || b.stock == nil {
		return nil
	}
	return b.stock.said
}

// keep takes the room of answers back, unless that is large.
func (b *batch[V]) keep(answers []store.Answer, here bool) {
	clear(answers)
	if here && b.stock != nil && cap(answers) >= cap(b.stock.said) && cap(answers) <= stockPart*stockKept {
		b.stock.said = answers[:0]
	}
}

// giveBack ends the use of the items, unless they are in use elsewhere.
func (b *batch[V]) giveBack() {
	st := b.stock
	if st == nil || b.apart {
		return
	}
	for i := range st.parts {
		clear(st.parts[i][:min(max(st.n-i*stockPart, 0), stockPart)])
	}
	if len(st.parts) > stockKept {
		clear(st.parts[stockKept:])
		st.parts = st.parts[:stockKept]
	}
	st.n, st.fresh = 0, nil
	b.c.stocks.Put(st)
}
