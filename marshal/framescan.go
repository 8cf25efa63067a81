package marshal

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// frameScanner reads a JSON document token by token, in place. It is as strict as
// encoding/json, whose own tokens cost an allocation each.
type frameScanner struct {
	data []byte
	pos  int
}

// cell is a scalar of the document. raw refers to the document: the digits of a
// number, what is between the quotes of a string.
type cell struct {
	kind  byte // n, t, f, 0 for a number, " for a string
	plain bool // the string is what raw says
	raw   []byte
}

var (
	errFrameEnd    = errors.New("unexpected end of the data")
	errFrameSyntax = errors.New("not JSON")
)

func (s *frameScanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

// next returns the next byte that is no space, without taking it; 0 at the end.
func (s *frameScanner) next() byte {
	s.space()
	if s.pos == len(s.data) {
		return 0
	}
	return s.data[s.pos]
}

// take takes c.
func (s *frameScanner) take(c byte) error {
	switch s.next() {
	case c:
		s.pos++
		return nil
	case 0:
		return errFrameEnd
	}
	return errFrameSyntax
}

// more goes to the next member of an object, and reports whether there is one.
// first says that none has been read yet.
func (s *frameScanner) more(first bool) (bool, error) {
	switch c := s.next(); {
	case c == '}':
		s.pos++
		return false, nil
	case first:
		return true, nil
	}
	return true, s.take(',')
}

// name reads the name of a member, with its colon.
func (s *frameScanner) name() (cell, error) {
	if s.next() != '"' {
		return cell{}, errFrameSyntax
	}
	c, err := s.text()
	if err != nil {
		return c, err
	}
	return c, s.take(':')
}

// scalar reads a number, a string, true, false or null.
func (s *frameScanner) scalar() (cell, error) {
	switch c := s.next(); {
	case c == '"':
		return s.text()
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case c == '{' || c == '[':
		return cell{}, errNotFrame
	case c == 0:
		return cell{}, errFrameEnd
	}
	for _, word := range [...]string{"null", "true", "false"} {
		if rest := s.data[s.pos:]; len(rest) >= len(word) && string(rest[:len(word)]) == word {
			s.pos += len(word)
			return cell{kind: word[0]}, nil
		}
	}
	return cell{}, errFrameSyntax
}

// text reads a string.
func (s *frameScanner) text() (cell, error) {
	start, plain := s.pos+1, true
	for i := start; i < len(s.data); i++ {
		switch c := s.data[i]; {
		case c == '"':
			s.pos = i + 1
			raw := s.data[start:i]
			return cell{'"', plain || utf8.Valid(raw) && bytes.IndexByte(raw, '\\') < 0, raw}, nil
		case c == '\\':
			plain = false
			i++
		case c < ' ':
			return cell{}, errFrameSyntax
		case c >= utf8.RuneSelf:
			plain = false
		}
	}
	return cell{}, errFrameEnd
}

// number reads a number by the grammar of JSON.
func (s *frameScanner) number() (cell, error) {
	start := s.pos
	if s.at('-') {
		s.pos++
	}
	if s.at('0') {
		s.pos++
	} else if !s.digits() {
		return cell{}, errFrameSyntax
	}
	if s.at('.') {
		if s.pos++; !s.digits() {
			return cell{}, errFrameSyntax
		}
	}
	if s.at('e') || s.at('E') {
		s.pos++
		if s.at('+') || s.at('-') {
			s.pos++
		}
		if !s.digits() {
			return cell{}, errFrameSyntax
		}
	}
	return cell{'0', true, s.data[start:s.pos]}, nil
}

func (s *frameScanner) at(c byte) bool { return s.pos < len(s.data) && s.data[s.pos] == c }

func (s *frameScanner) digits() bool {
	start := s.pos
	for s.pos < len(s.data) && s.data[s.pos] >= '0' && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > start
}

// skip reads any value.
func (s *frameScanner) skip() error {
	start := s.pos
	if c, err := s.scalar(); err == nil && c.plain || c.kind == 'n' || c.kind == 't' || c.kind == 'f' {
		return err
	}
	s.pos = start
	dec := json.NewDecoder(bytes.NewReader(s.data[s.pos:]))
	var value json.RawMessage
	if err := dec.Decode(&value); err != nil {
		return err
	}
	s.pos += int(dec.InputOffset())
	return nil
}

// string returns the text of a string.
func (c cell) string() (string, error) {
	if c.plain {
		return string(c.raw), nil
	}
	quoted := append(append(append(make([]byte, 0, len(c.raw)+2), '"'), c.raw...), '"')
	var text string
	err := json.Unmarshal(quoted, &text)
	return text, err
}
