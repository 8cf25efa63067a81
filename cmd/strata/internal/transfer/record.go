package transfer

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stratacache/strata/store"
)

// Writer writes entries. Close ends the file; what it was given to write to stays
// open.
type Writer interface {
	Write(key string, e *store.Entry) error
	Close() error
}

// Reader reads entries.
type Reader interface {
	// Next returns the next entry, or io.EOF behind the last one. Its error says
	// where it is.
	Next() (key string, e store.Entry, err error)
	// Where says where the entry is that Next has returned: "line 3".
	Where() string
}

// Formats are the names of the formats.
func Formats() []string { return []string{"parquet", "csv", "ndjson"} }

// NewWriter returns a writer of "ndjson" or "csv" to w.
func NewWriter(format string, w io.Writer) (Writer, error) {
	switch format {
	case "ndjson":
		return newLines(w), nil
	case "csv":
		return newTable(w)
	}
	return nil, unknown(format)
}

// NewReader returns a reader of "ndjson" or "csv" of which no entry takes more
// than about limit bytes.
func NewReader(format string, r io.Reader, limit int) (Reader, error) {
	switch format {
	case "ndjson":
		return readLines(r, limit), nil
	case "csv":
		return readTable(r, limit)
	}
	return nil, unknown(format)
}

func unknown(format string) error {
	return fmt.Errorf("there is no format %q: there are %s", format, strings.Join(Formats(), ", "))
}

// record is an entry in JSON. Of a field and its base64 form one is set.
type record struct {
	Key         string     `json:"key,omitempty"`
	KeyBase64   []byte     `json:"key_base64,omitempty"`
	Value       *string    `json:"value,omitempty"`
	ValueBase64 *[]byte    `json:"value_base64,omitempty"`
	Expires     *time.Time `json:"expires,omitempty"`
	Fresh       *time.Time `json:"fresh,omitempty"`
	Version     uint64     `json:"version,omitempty"`
	Codec       string     `json:"codec,omitempty"`
	Tags        []string   `json:"tags,omitempty"`
	TagsBase64  [][]byte   `json:"tags_base64,omitempty"`
}

// recordOf returns e as a record. isText says which values may be text.
func recordOf(key string, e *store.Entry, isText func([]byte) bool) record {
	r := record{Expires: timeOf(e.Expires), Fresh: timeOf(e.Fresh), Version: e.Version, Codec: e.Codec}
	if utf8.ValidString(key) && isText([]byte(key)) {
		r.Key = key
	} else {
		r.KeyBase64 = []byte(key)
	}
	if isText(e.Value) {
		s := string(e.Value)
		r.Value = &s
	} else {
		r.ValueBase64 = &e.Value
	}
	for _, tag := range e.Tags {
		if !isText([]byte(tag)) {
			for _, tag := range e.Tags {
				r.TagsBase64 = append(r.TagsBase64, []byte(tag))
			}
			return r
		}
	}
	r.Tags = e.Tags
	return r
}

func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// plain reports whether b is text that has one form in every format: control
// characters get lost or grow.
func plain(b []byte) bool {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n <= 1 || r < 0x20 && r != '\n' && r != '\t' || r == 0x7f || r == '\ufeff' {
			return false
		}
		i += n
	}
	return true
}

// entry returns the record's entry.
func (r *record) entry() (key string, e store.Entry, err error) {
	switch {
	case r.Key != "" && r.KeyBase64 != nil:
		return "", e, errors.New("key and key_base64 are both given")
	case r.Key == "" && len(r.KeyBase64) == 0:
		return "", e, errors.New("there is no key")
	case r.Value != nil && r.ValueBase64 != nil:
		return "", e, errors.New("value and value_base64 are both given")
	case r.Tags != nil && r.TagsBase64 != nil:
		return "", e, errors.New("tags and tags_base64 are both given")
	case r.Value != nil:
		e.Value = []byte(*r.Value)
	case r.ValueBase64 != nil:
		e.Value = *r.ValueBase64
	default:
		return "", e, errors.New("there is no value")
	}
	if key = r.Key; key == "" {
		key = string(r.KeyBase64)
	}
	e.Codec, e.Version, e.Tags = r.Codec, r.Version, r.Tags
	for _, tag := range r.TagsBase64 {
		e.Tags = append(e.Tags, string(tag))
	}
	return key, e, r.deadlines(&e)
}

func (r *record) deadlines(e *store.Entry) error {
	if r.Expires != nil {
		e.Expires = *r.Expires
	}
	if r.Fresh != nil {
		e.Fresh = *r.Fresh
	}
	if !e.Expires.IsZero() && e.Fresh.After(e.Expires) {
		return errors.New("fresh is after expires")
	}
	return nil
}

// errLarge: nothing that was exported from a directory with these limits is so.
var errLarge = errors.New("the entry is too large")

// at puts the place in front of an error.
func at(where string, err error) error { return fmt.Errorf("%s: %w", where, err) }
