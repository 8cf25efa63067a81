package parquet

import "encoding/binary"

// appendLevels appends the definition levels of n rows, of which nulls are
// null, in the form of a version 1 page: a length and the RLE and bit-packed
// hybrid with one bit a level. present has a bit for each row.
func appendLevels(b, present []byte, n, nulls int) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	switch nulls {
	case 0:
		b = append(binary.AppendUvarint(b, uint64(n)<<1), 1)
	case n:
		b = append(binary.AppendUvarint(b, uint64(n)<<1), 0)
	default:
		b = binary.AppendUvarint(b, uint64(len(present))<<1|1)
		b = append(b, present...)
	}
	le.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// skipFullLevels returns the values of a version 1 page of an optional column in
// which n rows have a value; nil where some have none.
func skipFullLevels(page []byte, n int) []byte {
	if len(page) < 4 || uint64(le.Uint32(page)) > uint64(len(page)-4) {
		return nil
	}
	end := 4 + int(le.Uint32(page))
	levels := hybrid{b: page[4:end], width: 1}
	for left := n; left > 0; {
		if levels.left == 0 && !levels.run() {
			return nil
		}
		if !levels.packd && levels.value == 1 { // the usual case: one long run
			left -= int(min(levels.left, uint64(left)))
			levels.left = 0
			continue
		}
		if v, ok := levels.next(); !ok || v == 0 {
			return nil
		}
		left--
	}
	return page[end:]
}

// hybrid reads the RLE and bit-packed hybrid:
// https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE
type hybrid struct {
	b     []byte
	width uint
	left  uint64 // values left in the run
	packd bool
	value uint32 // of an RLE run
	bits  uint64 // read but not used yet, of a packed run
	nbits uint
}

// next returns the next value; ok is false where the input ends too early.
func (h *hybrid) next() (v uint32, ok bool) {
	if h.width == 0 {
		return 0, true
	}
	for h.left == 0 {
		if !h.run() {
			return 0, false
		}
	}
	h.left--
	if !h.packd {
		return h.value, true
	}
	for h.nbits < h.width {
		if len(h.b) == 0 {
			return 0, false
		}
		h.bits |= uint64(h.b[0]) << h.nbits
		h.b, h.nbits = h.b[1:], h.nbits+8
	}
	v = uint32(h.bits & (1<<h.width - 1))
	h.bits >>= h.width
	h.nbits -= h.width
	return v, true
}

// run reads the header of the next run.
func (h *hybrid) run() bool {
	head, n := binary.Uvarint(h.b)
	if n <= 0 {
		return false
	}
	h.b, h.bits, h.nbits = h.b[n:], 0, 0
	if h.packd = head&1 == 1; h.packd {
		if head>>1 > 1<<40 {
			return false
		}
		h.left = head >> 1 * 8
		return true
	}
	h.left = head >> 1
	size := int(h.width+7) / 8
	if len(h.b) < size {
		return false
	}
	h.value = 0
	for i := range size {
		h.value |= uint32(h.b[i]) << (8 * i)
	}
	h.b = h.b[size:]
	return true
}
