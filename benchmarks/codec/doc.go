// Package codec measures the codecs of strata beside encoding/gob, encoding/json
// and vmihailenco/msgpack: what a value takes in bytes, and how long it takes to
// encode and to decode.
//
// # Method
//
// Four values: a price, a map of a company's figures, and price histories of 252
// and 100,000 days, of prices that walk in cents. All codecs of a value take turns,
// some milliseconds each, in an order that shifts every round, and each time is the
// median over the rounds. A codec appends to a buffer that is there, as a cache
// does; gob writes its type anew for every value, for each is read by itself.
//
//	go run ./codec/table            the table of the README
//	go run ./codec/table -full      with allocations, and as ratios to encoding/json
//	go test -bench . ./codec        for benchstat and profiles
package codec
