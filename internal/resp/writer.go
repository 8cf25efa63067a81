package resp

import "strconv"

// Writer gathers replies. Its zero value writes RESP2; Proto 3 makes it RESP3.
type Writer struct {
	Buf   []byte
	Proto int
}

func (w *Writer) head(kind byte, n int) {
	if n < 10 && n >= 0 {
		w.Buf = append(w.Buf, kind, byte('0'+n), '\r', '\n')
		return
	}
	w.Buf = append(w.Buf, kind)
	w.Buf = strconv.AppendInt(w.Buf, int64(n), 10)
	w.Buf = append(w.Buf, '\r', '\n')
}

// Simple writes a status, which must be one line.
func (w *Writer) Simple(s string) {
	w.Buf = append(w.Buf, '+')
	w.Buf = append(w.Buf, s...)
	w.Buf = append(w.Buf, '\r', '\n')
}

// Error writes an error with its code in front. Line ends become spaces.
func (w *Writer) Error(s string) {
	w.Buf = append(w.Buf, '-')
	for i := range len(s) {
		c := s[i]
		if c == '\r' || c == '\n' {
			c = ' '
		}
		w.Buf = append(w.Buf, c)
	}
	w.Buf = append(w.Buf, '\r', '\n')
}

// Int writes a whole number.
func (w *Writer) Int(n int64) {
	w.Buf = append(w.Buf, ':')
	w.Buf = strconv.AppendInt(w.Buf, n, 10)
	w.Buf = append(w.Buf, '\r', '\n')
}

// Bulk writes a string of bytes.
func (w *Writer) Bulk(b []byte) {
	w.head('$', len(b))
	w.Buf = append(w.Buf, b...)
	w.Buf = append(w.Buf, '\r', '\n')
}

// BulkString is Bulk.
func (w *Writer) BulkString(s string) {
	w.head('$', len(s))
	w.Buf = append(w.Buf, s...)
	w.Buf = append(w.Buf, '\r', '\n')
}

// Text writes text for people: a verbatim string in RESP3.
func (w *Writer) Text(s string) {
	if w.Proto < 3 {
		w.BulkString(s)
		return
	}
	w.head('=', len(s)+4)
	w.Buf = append(w.Buf, "txt:"...)
	w.Buf = append(w.Buf, s...)
	w.Buf = append(w.Buf, '\r', '\n')
}

// Null writes the absence of a value.
func (w *Writer) Null() {
	if w.Proto < 3 {
		w.Buf = append(w.Buf, "$-1\r\n"...)
	} else {
		w.Buf = append(w.Buf, "_\r\n"...)
	}
}

// NullArray writes the absence of an array.
func (w *Writer) NullArray() {
	if w.Proto < 3 {
		w.Buf = append(w.Buf, "*-1\r\n"...)
	} else {
		w.Buf = append(w.Buf, "_\r\n"...)
	}
}

// Array begins an array of n replies.
func (w *Writer) Array(n int) { w.head('*', n) }

// Map begins a map of n pairs: in RESP2 an array of twice as many.
func (w *Writer) Map(n int) {
	if w.Proto < 3 {
		w.head('*', 2*n)
	} else {
		w.head('%', n)
	}
}

// Set begins a set of n replies: an array in RESP2.
func (w *Writer) Set(n int) {
	if w.Proto < 3 {
		w.head('*', n)
	} else {
		w.head('~', n)
	}
}

// Push begins a message of n parts that nobody asked for: an array in RESP2.
func (w *Writer) Push(n int) {
	if w.Proto < 3 {
		w.head('*', n)
	} else {
		w.head('>', n)
	}
}
