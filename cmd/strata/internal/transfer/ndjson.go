package transfer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/stratacache/strata/store"
)

// lines writes one JSON object on each line.
type lines struct {
	w   *bufio.Writer
	enc *json.Encoder
}

func newLines(w io.Writer) *lines {
	b := bufio.NewWriterSize(w, 256<<10)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	return &lines{b, enc}
}

// Write implements Writer.
func (l *lines) Write(key string, e *store.Entry) error {
	r := recordOf(key, e, plain)
	return l.enc.Encode(&r)
}

// Close implements Writer.
func (l *lines) Close() error { return l.w.Flush() }

// lineReader reads them.
type lineReader struct {
	in *bufio.Scanner
	n  int
}

func readLines(r io.Reader, limit int) *lineReader {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 64<<10), limit)
	return &lineReader{in: in}
}

// Where implements Reader.
func (l *lineReader) Where() string { return fmt.Sprintf("line %d", l.n) }

// Next implements Reader.
func (l *lineReader) Next() (key string, e store.Entry, err error) {
	for l.in.Scan() {
		l.n++
		b := l.in.Bytes()
		if l.n == 1 {
			b = bytes.TrimPrefix(b, []byte("\ufeff"))
		}
		if len(bytes.TrimSpace(b)) == 0 {
			continue
		}
		key, e, err = decodeLine(b)
		if err != nil {
			return "", e, at(l.Where(), err)
		}
		return key, e, nil
	}
	err = l.in.Err()
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		l.n++
		return "", e, at(l.Where(), errLarge)
	case err != nil:
		return "", e, err
	}
	return "", e, io.EOF
}

func decodeLine(b []byte) (key string, e store.Entry, err error) {
	if !utf8.Valid(b) {
		return "", e, errors.New("it is not UTF-8")
	}
	var r record
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return "", e, jsonError(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return "", e, errors.New("there is something behind the object")
	}
	if halves(b, &r) {
		return "", e, errors.New("half of a surrogate pair is no character")
	}
	return r.entry()
}

// halves reports whether the decoder had to replace half a surrogate pair, which
// is escaped but stands for no character: the value would silently be another.
func halves(line []byte, r *record) bool {
	const mark = "\ufffd"
	all := r.Key + r.Codec + strings.Join(r.Tags, "")
	if r.Value != nil {
		all += *r.Value
	}
	n := strings.Count(all, mark)
	return n > 0 && n > bytes.Count(line, []byte(mark))+bytes.Count(bytes.ToLower(line), []byte(`\ufffd`))
}

// jsonError says what is wrong in words that fit one line of a file.
func jsonError(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("byte %d: %s", syntax.Offset, syntax.Error())
	case errors.As(err, &kind):
		return fmt.Errorf("%s cannot be a %s", kind.Field, kind.Value)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the object does not end")
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}
