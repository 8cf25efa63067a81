package parquet

import (
	"encoding/binary"
	"math/bits"
)

// DELTA_BINARY_PACKED, after Lemire and Boytsov, "Decoding billions of integers
// per second through vectorization":
// https://parquet.apache.org/docs/file-format/data-pages/encodings/#DELTAENC

const (
	deltaBlock = 128
	deltaMini  = 4
	perMini    = deltaBlock / deltaMini
)

// plainInt returns the i-th value of PLAIN integers of size bytes.
func plainInt(plain []byte, i, size int) int64 {
	if size == 4 {
		return int64(int32(le.Uint32(plain[i*4:])))
	}
	return int64(le.Uint64(plain[i*8:]))
}

// appendDelta appends the integers of plain, size bytes each.
func appendDelta(b, plain []byte, size int) []byte {
	n := len(plain) / size
	b = binary.AppendUvarint(b, deltaBlock)
	b = binary.AppendUvarint(b, deltaMini)
	b = binary.AppendUvarint(b, uint64(n))
	if n == 0 {
		return zigzag(b, 0)
	}
	last := plainInt(plain, 0, size)
	b = zigzag(b, last)
	var deltas [deltaBlock]int64
	for i := 1; i < n; {
		k := 0
		for ; k < deltaBlock && i < n; k, i = k+1, i+1 {
			v := plainInt(plain, i, size)
			deltas[k] = v - last
			if size == 4 { // differences wrap at the width of the type
				deltas[k] = int64(int32(deltas[k]))
			}
			last = v
		}
		b = appendDeltaBlock(b, deltas[:k])
	}
	return b
}

func appendDeltaBlock(b []byte, deltas []int64) []byte {
	least := deltas[0]
	for _, d := range deltas {
		least = min(least, d)
	}
	b = zigzag(b, least)
	at := len(b)
	b = append(b, make([]byte, deltaMini)...)
	for m := 0; m*perMini < len(deltas); m++ {
		mini := deltas[m*perMini : min((m+1)*perMini, len(deltas))]
		var all uint64
		for _, d := range mini {
			all |= uint64(d - least)
		}
		width := bits.Len64(all)
		b[at+m] = byte(width)
		b = appendPacked(b, mini, least, width)
	}
	return b
}

// appendPacked appends perMini values of width bits, missing ones as zero.
func appendPacked(b []byte, mini []int64, least int64, width int) []byte {
	var acc uint64
	n, at := 0, len(b)
	for _, d := range mini {
		v := uint64(d - least)
		acc |= v << n
		if n += width; n >= 64 {
			b = le.AppendUint64(b, acc)
			n -= 64
			acc = v >> (width - n)
		}
	}
	for rest := perMini*width/8 - (len(b) - at); rest > 0; rest-- {
		b = append(b, byte(acc))
		acc >>= 8
	}
	return b
}

// deltas decodes DELTA_BINARY_PACKED values one by one.
type deltas struct {
	cursor
	total, perMini, minis int
	left                  int // values not yet returned
	last, least           int64
	widths                []byte
	mini                  int // index of the next miniblock
	inMini                int // values left in the current one
	width                 uint
	pos                   int // bit position in b of the next value
	first                 bool
}

// newDeltas reads the header.
func newDeltas(b []byte) deltas {
	d := deltas{cursor: cursor{b: b}, first: true}
	block, minis := d.uvarint(), d.uvarint()
	total := d.uvarint()
	d.last = d.zigzag()
	if d.bad || minis == 0 || block == 0 || block > 1<<20 || minis > block || block%minis != 0 ||
		(block/minis)%8 != 0 || total > 1<<31-1 {
		d.fail()
		return d
	}
	d.total, d.left, d.minis, d.perMini = int(total), int(total), int(minis), int(block/minis)
	d.mini = d.minis
	return d
}

// next returns the next value; ok is false at the end or where the input is
// damaged.
func (d *deltas) next() (v int64, ok bool) {
	if d.bad || d.left == 0 {
		return 0, false
	}
	d.left--
	if d.first {
		d.first = false
		return d.last, true
	}
	if d.inMini == 0 && !d.advanceMini() {
		return 0, false
	}
	d.inMini--
	d.last += d.least + int64(d.bits())
	return d.last, true
}

// advanceMini moves to the next miniblock, whose bytes then lie between pos and
// i.
func (d *deltas) advanceMini() bool {
	if d.mini == d.minis {
		d.least = d.zigzag()
		at := d.i
		d.advance(d.minis)
		if d.bad {
			return false
		}
		d.widths, d.mini = d.b[at:d.i], 0
	}
	d.width = uint(d.widths[d.mini])
	d.mini++
	d.pos = d.i * 8
	if d.width > 64 {
		d.fail()
		return false
	}
	d.advance(d.perMini * int(d.width) / 8)
	d.inMini = d.perMini
	return !d.bad
}

// bits returns the next width bits.
func (d *deltas) bits() uint64 {
	var v uint64
	at, shift := d.pos/8, uint(d.pos%8)
	d.pos += int(d.width)
	for got := uint(0); got < d.width; at++ {
		v |= uint64(d.b[at]) >> shift << got
		got += 8 - shift
		shift = 0
	}
	if d.width < 64 {
		v &= 1<<d.width - 1
	}
	return v
}

// undelta returns n values in PLAIN form, fewer where b is damaged.
func undelta(b []byte, n, size int) []byte {
	d := newDeltas(b)
	out := make([]byte, 0, n*size)
	for len(out) < n*size {
		if d.first || d.width > 56 || d.pos/8+int(d.width)*d.inMini/8+16 > len(b) || d.inMini == 0 {
			v, ok := d.next()
			if !ok {
				break
			}
			out = appendInt(out, v, size)
			continue
		}
		// The rest of the miniblock, by loads of 64 bits.
		mask, last := uint64(1)<<d.width-1, d.last
		for k := min(d.inMini, d.left, n-len(out)/size); k > 0; k-- {
			last += d.least + int64(le.Uint64(b[d.pos/8:])>>(d.pos%8)&mask)
			d.pos += int(d.width)
			d.inMini--
			d.left--
			out = appendInt(out, last, size)
		}
		d.last = last
		if d.left == 0 {
			break
		}
	}
	return out
}

func appendInt(b []byte, v int64, size int) []byte {
	if size == 4 {
		return le.AppendUint32(b, uint32(v))
	}
	return le.AppendUint64(b, uint64(v))
}

// end returns the position after the last value: the last block's miniblocks
// are complete, but those without any value are not stored.
func (d *deltas) end() int { return d.i }

// appendJoined appends the values of size bytes that split holds in
// BYTE_STREAM_SPLIT form, which has all first bytes, then all second ones, and
// so on, in PLAIN form.
func appendJoined(b, split []byte, size int) []byte {
	n := len(split) / size
	at := len(b)
	b = append(b, split[:n*size]...)
	out := b[at:]
	for k := range size {
		stream := split[k*n : (k+1)*n]
		for i, v := range stream {
			out[i*size+k] = v
		}
	}
	return b
}
