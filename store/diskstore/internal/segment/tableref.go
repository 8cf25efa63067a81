package segment

import (
	"bytes"
	"fmt"
	"strconv"
)

// TableRef is the value of a row of KindTable: where the table file of a key is
// and what is in it.
type TableRef struct {
	Path string // of the file's directory, within the store's
	Size int64
	CRC  uint32 // CRC32C
}

// Append appends the stored form: checksum in hexadecimal, size, and path.
func (r *TableRef) Append(dst []byte) []byte {
	return fmt.Appendf(dst, "%08x %d %s", r.CRC, r.Size, r.Path)
}

// ParseTableRef is the inverse of Append.
func ParseTableRef(b []byte) (r TableRef, ok bool) {
	sum, rest, ok1 := bytes.Cut(b, []byte{' '})
	size, path, ok2 := bytes.Cut(rest, []byte{' '})
	if !ok1 || !ok2 || len(sum) != 8 || len(size) > 19 || len(path) == 0 {
		return r, false
	}
	crc, err1 := strconv.ParseUint(string(sum), 16, 32)
	n, err2 := strconv.ParseInt(string(size), 10, 64)
	if err1 != nil || err2 != nil || n < 0 {
		return r, false
	}
	return TableRef{string(path), n, uint32(crc)}, true
}
