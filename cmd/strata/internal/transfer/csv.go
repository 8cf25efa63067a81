package transfer

import (
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stratacache/strata/store"
)

// header are the columns of a table, by their order.
var header = []string{"key", "key_base64", "value", "value_base64", "expires", "fresh", "version", "codec", "tags", "tags_base64"}

// table writes CSV.
type table struct {
	w   *csv.Writer
	row []string
}

func newTable(w io.Writer) (*table, error) {
	t := &table{csv.NewWriter(w), make([]string, len(header))}
	return t, t.w.Write(header)
}

// Write implements Writer.
func (t *table) Write(key string, e *store.Entry) error {
	r := recordOf(key, e, plain)
	row := t.row
	row[0], row[1] = r.Key, base64.StdEncoding.EncodeToString(r.KeyBase64)
	row[2], row[3] = "", ""
	if r.Value != nil {
		row[2] = *r.Value
	} else {
		row[3] = base64.StdEncoding.EncodeToString(*r.ValueBase64)
	}
	row[4], row[5], row[6], row[7] = stamp(r.Expires), stamp(r.Fresh), strconv.FormatUint(r.Version, 10), r.Codec
	var err error
	if row[8], err = list(r.Tags); err != nil {
		return err
	}
	if row[9], err = list(r.TagsBase64); err != nil {
		return err
	}
	return t.w.Write(row)
}

// Close implements Writer.
func (t *table) Close() error {
	t.w.Flush()
	return t.w.Error()
}

func stamp(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// list writes a list as JSON; none is empty.
func list[T any](l []T) (string, error) {
	if len(l) == 0 {
		return "", nil
	}
	b, err := json.Marshal(l)
	return string(b), err
}

// bounded gives out so many bytes until it is told to begin anew, so that a quote
// that never ends does not fill memory.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errLarge
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// tableReader reads CSV. Columns may be in any order; those that are absent are
// empty.
type tableReader struct {
	in    *csv.Reader
	src   *bounded
	limit int
	cols  []int // of the file: which of header each is
	line  int
}

func readTable(r io.Reader, limit int) (*tableReader, error) {
	t := &tableReader{src: &bounded{r, limit}, limit: limit}
	t.in = csv.NewReader(t.src)
	t.in.ReuseRecord = true
	first, err := t.in.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("line 1: there is no heading")
	}
	if err != nil {
		return nil, t.failed(err)
	}
	for i, name := range first {
		if i == 0 {
			name = strings.TrimPrefix(name, "\ufeff")
		}
		at := slices.Index(header, name)
		switch {
		case at < 0:
			return nil, fmt.Errorf("line 1: there is no column %q: there are %s", name, strings.Join(header, ", "))
		case slices.Contains(t.cols, at):
			return nil, fmt.Errorf("line 1: the column %q is there twice", name)
		}
		t.cols = append(t.cols, at)
	}
	return t, nil
}

// Where implements Reader.
func (t *tableReader) Where() string { return fmt.Sprintf("line %d", t.line) }

// failed says where an error of the CSV reader is.
func (t *tableReader) failed(err error) error {
	var pe *csv.ParseError
	if errors.As(err, &pe) {
		return fmt.Errorf("line %d: %w", pe.StartLine, pe.Err)
	}
	return at(fmt.Sprintf("line %d or later", t.line+1), err)
}

// Next implements Reader.
func (t *tableReader) Next() (key string, e store.Entry, err error) {
	t.src.left = t.limit
	cells, err := t.in.Read()
	if errors.Is(err, io.EOF) {
		return "", e, io.EOF
	}
	if err != nil {
		return "", e, t.failed(err)
	}
	t.line, _ = t.in.FieldPos(0)
	row := make([]string, len(header))
	for i, cell := range cells {
		if !utf8.ValidString(cell) {
			return "", e, at(t.Where(), fmt.Errorf("%s is not UTF-8", header[t.cols[i]]))
		}
		row[t.cols[i]] = cell
	}
	r, err := recordOfRow(row)
	if err == nil {
		key, e, err = r.entry()
	}
	if err != nil {
		return "", e, at(t.Where(), err)
	}
	return key, e, nil
}

func recordOfRow(row []string) (r record, err error) {
	r.Key, r.Codec = row[0], row[7]
	if row[1] != "" {
		if r.KeyBase64, err = base64.StdEncoding.DecodeString(row[1]); err != nil {
			return r, fmt.Errorf("key_base64: %w", err)
		}
	}
	switch {
	case row[3] == "":
		r.Value = &row[2]
	case row[2] != "":
		return r, errors.New("value and value_base64 are both given")
	default:
		b, err := base64.StdEncoding.DecodeString(row[3])
		if err != nil {
			return r, fmt.Errorf("value_base64: %w", err)
		}
		r.ValueBase64 = &b
	}
	for i, to := range map[int]**time.Time{4: &r.Expires, 5: &r.Fresh} {
		if row[i] == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339Nano, row[i])
		if err != nil {
			return r, fmt.Errorf("%s %q is not a time such as 2026-11-23T12:00:00Z", header[i], row[i])
		}
		*to = &t
	}
	if row[6] != "" {
		if r.Version, err = strconv.ParseUint(row[6], 10, 64); err != nil {
			return r, fmt.Errorf("version %q is not a whole number", row[6])
		}
	}
	return r, errors.Join(unlist("tags", row[8], &r.Tags), unlist("tags_base64", row[9], &r.TagsBase64))
}

func unlist[T any](name, cell string, to *[]T) error {
	if cell == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(cell), to); err != nil {
		return fmt.Errorf("%s %.40q is not a JSON list of strings", name, cell)
	}
	return nil
}
