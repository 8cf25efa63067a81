package chain

import "github.com/stratacache/strata/store"

// Items of a batch, and flights, are made many at once and used again for later batches;
// flights only where nobody else has any of a part.
const (
	stockPart = 32 // in a part
	stockKept = 16 // parts are kept
)

// stock is what the items and flights of a batch are taken from.
type stock[V any] struct {
	parts   [][]item[V]
	n       int
	flights [][]flight
	flown   int // of the flights, are not fresh
	said    []store.Answer
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

// flight returns a flight to be claimed, the last one again where that has not been. It
// follows item.
func (b *batch[V]) flight() *flight {
	st := b.stock
	if st.flown > 0 {
		if last := &st.flights[(st.flown-1)/stockPart][(st.flown-1)%stockPart]; last.shard == nil {
			return last
		}
	}
	part, at := st.flown/stockPart, st.flown%stockPart
	if part == len(st.flights) {
		st.flights = append(st.flights, make([]flight, stockPart))
	}
	st.flown++
	return &st.flights[part][at]
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
	st.keepFlights()
	st.n, st.flown = 0, 0
	b.c.stocks.Put(st)
}

// keepFlights keeps those parts of the flights that nobody else has any of.
func (st *stock[V]) keepFlights() {
	kept := st.flights[:0]
	for i, part := range st.flights {
		used := part[:min(max(st.flown-i*stockPart, 0), stockPart)]
		if len(kept) == stockKept || !allSpent(used) {
			continue
		}
		clear(used)
		kept = append(kept, part)
	}
	clear(st.flights[len(kept):])
	st.flights = kept
}

func allSpent(fs []flight) bool {
	for i := range fs {
		if !fs[i].spent() {
			return false
		}
	}
	return true
}
