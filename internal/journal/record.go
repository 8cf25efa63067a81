package journal

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// Record is one record of a journal.
type Record struct {
	Seq     uint64
	Kind    byte
	Payload []byte // shared with the journal's buffer: read-only
}

const (
	magic         = "STRATAWL"
	formatVersion = 1
	fileHeader    = 64
	recordHeader  = 25 // crc32c, length, epoch, seq, kind

	offCRC, offLen, offEpoch, offSeq, offKind = 0, 4, 8, 16, 24
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendRecord encodes a record. The checksum covers all that follows it.
func appendRecord(dst []byte, epoch, seq uint64, kind byte, payload [][]byte, size int) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(size))
	dst = binary.LittleEndian.AppendUint64(dst, epoch)
	dst = binary.LittleEndian.AppendUint64(dst, seq)
	dst = append(dst, kind)
	for _, p := range payload {
		dst = append(dst, p...)
	}
	sum := crc32.Checksum(dst[at+offLen:], castagnoli)
	binary.LittleEndian.PutUint32(dst[at:], sum)
	return dst
}

// parseRecord reads the record at the start of data. ok is false where there is
// no valid record of the epoch.
func parseRecord(data []byte, epoch uint64) (r Record, size int, ok bool) {
	if len(data) < recordHeader || binary.LittleEndian.Uint64(data[offEpoch:]) != epoch {
		return Record{}, 0, false
	}
	n := uint64(binary.LittleEndian.Uint32(data[offLen:]))
	if n > uint64(len(data)-recordHeader) {
		return Record{}, 0, false
	}
	size = recordHeader + int(n)
	if crc32.Checksum(data[offLen:size], castagnoli) != binary.LittleEndian.Uint32(data) {
		return Record{}, 0, false
	}
	return Record{
		Seq:     binary.LittleEndian.Uint64(data[offSeq:]),
		Kind:    data[offKind],
		Payload: data[recordHeader:size:size],
	}, size, true
}

// head is what the head of a file says.
type head struct {
	num   uint64 // the number in the file's name
	first uint64 // sequence of its first record
	epoch uint64 // random, of this use of the file
}

func (hd head) encode() []byte {
	h := make([]byte, fileHeader)
	copy(h, magic)
	binary.LittleEndian.PutUint32(h[8:], formatVersion)
	binary.LittleEndian.PutUint64(h[16:], hd.num)
	binary.LittleEndian.PutUint64(h[24:], hd.first)
	binary.LittleEndian.PutUint64(h[32:], hd.epoch)
	binary.LittleEndian.PutUint32(h[12:], crc32.Checksum(h[16:], castagnoli))
	return h
}

// parseHead checks the head of a file. The version comes back where the magic
// and checksum are right.
func parseHead(h []byte) (hd head, version uint32, ok bool) {
	if len(h) < fileHeader || !bytes.HasPrefix(h, []byte(magic)) {
		return hd, 0, false
	}
	le := binary.LittleEndian
	if crc32.Checksum(h[16:fileHeader], castagnoli) != le.Uint32(h[12:]) {
		return hd, 0, false
	}
	hd = head{num: le.Uint64(h[16:]), first: le.Uint64(h[24:]), epoch: le.Uint64(h[32:])}
	return hd, le.Uint32(h[8:]), true
}
