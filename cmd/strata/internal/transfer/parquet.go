package transfer

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stratacache/strata/marshal/parquet"
	"github.com/stratacache/strata/store"
)

// parquetRow is an entry in Parquet.
type parquetRow struct {
	Key        string     `parquet:"key"`
	KeyBytes   []byte     `parquet:"key_bytes,optional"`
	Value      []byte     `parquet:"value"`
	Expires    *time.Time `parquet:"expires_at,timestamp(microsecond)"`
	Fresh      *time.Time `parquet:"fresh_until,timestamp(microsecond)"`
	Version    uint64     `parquet:"version"`
	Codec      string     `parquet:"codec"`
	Tags       string     `parquet:"tags"`
	TagsBase64 string     `parquet:"tags_base64"`
}

// The largest part of a directory: in bytes of values and keys, and in entries.
const (
	partBytes = 64 << 20
	partRows  = 1 << 17
	// maxPart is the largest that is read.
	maxPart = 1 << 30
)

func codec() (*parquet.Codec[[]parquetRow], error) {
	// Snappy never packs so tightly that a reader would take a part for a bomb.
	return parquet.New[[]parquetRow](&parquet.Options{Compression: parquet.Snappy, Checksums: true})
}

// parts writes a directory of Parquet files, each of which is written whole.
type parts struct {
	dir   string
	codec *parquet.Codec[[]parquetRow]
	rows  []parquetRow
	bytes int
	n     int
	buf   []byte
}

// NewParts returns a writer of Parquet files in dir: part-00001.parquet and so on.
func NewParts(dir string) (Writer, error) {
	c, err := codec()
	if err != nil {
		return nil, err
	}
	return &parts{dir: dir, codec: c}, nil
}

// Write implements Writer.
func (p *parts) Write(key string, e *store.Entry) error {
	r := recordOf(key, e, utf8.Valid)
	row := parquetRow{
		Key: r.Key, KeyBytes: r.KeyBase64, Value: e.Value, Expires: r.Expires, Fresh: r.Fresh, Version: r.Version, Codec: r.Codec,
	}
	var err error
	if row.Tags, err = list(r.Tags); err != nil {
		return err
	}
	if row.TagsBase64, err = list(r.TagsBase64); err != nil {
		return err
	}
	p.rows = append(p.rows, row)
	if p.bytes += len(key) + len(e.Value); p.bytes >= partBytes || len(p.rows) == partRows {
		return p.flush()
	}
	return nil
}

// Close implements Writer. Without entries there is a part without rows.
func (p *parts) Close() error {
	if len(p.rows) > 0 || p.n == 0 {
		return p.flush()
	}
	return nil
}

func (p *parts) flush() (err error) {
	if p.buf, err = p.codec.Append(p.buf[:0], p.rows); err != nil {
		return err
	}
	clear(p.rows)
	p.rows, p.bytes = p.rows[:0], 0
	p.n++
	return os.WriteFile(filepath.Join(p.dir, fmt.Sprintf("part-%05d.parquet", p.n)), p.buf, 0o600)
}

// partReader reads a Parquet file, or all of a directory.
type partReader struct {
	codec *parquet.Codec[[]parquetRow]
	files []string
	name  string
	rows  []parquetRow
	next  int
	seen  func(bytes int64)
}

// ReadParts returns a reader of the Parquet file at path, or of those in the
// directory there. seen is called with the size of each file that was read; nil is
// no call.
func ReadParts(path string, seen func(bytes int64)) (Reader, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	p := &partReader{files: []string{path}, seen: seen}
	if info.IsDir() {
		if p.files, err = filepath.Glob(filepath.Join(escapePath(path), "*.parquet")); err != nil {
			return nil, err
		}
		if len(p.files) == 0 {
			return nil, fmt.Errorf("there is no *.parquet file in %s", path)
		}
		slices.Sort(p.files)
	}
	p.codec, err = codec()
	return p, err
}

func escapePath(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// Where implements Reader.
func (p *partReader) Where() string { return fmt.Sprintf("%s, row %d", p.name, p.next) }

// Next implements Reader.
func (p *partReader) Next() (key string, e store.Entry, err error) {
	for p.next == len(p.rows) {
		if len(p.files) == 0 {
			return "", e, io.EOF
		}
		if err := p.open(p.files[0]); err != nil {
			return "", e, err
		}
		p.files = p.files[1:]
	}
	row := &p.rows[p.next]
	p.next++
	r := record{
		Key: row.Key, Expires: row.Expires, Fresh: row.Fresh, Version: row.Version, Codec: row.Codec, ValueBase64: &row.Value,
	}
	if len(row.KeyBytes) > 0 {
		r.KeyBase64 = row.KeyBytes
	}
	if err = unlist("tags", row.Tags, &r.Tags); err == nil {
		err = unlist("tags_base64", row.TagsBase64, &r.TagsBase64)
	}
	if err == nil {
		key, e, err = r.entry()
	}
	if err != nil {
		return "", e, at(p.Where(), err)
	}
	return key, e, nil
}

// open reads a part.
func (p *partReader) open(path string) error {
	p.name, p.rows, p.next = filepath.Base(path), nil, 0
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() > maxPart {
		return at(p.name, fmt.Errorf("the file is larger than %d MiB: split it", maxPart>>20))
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if p.rows, err = p.codec.Decode(data); err != nil {
		return at(p.name, err)
	}
	if p.seen != nil {
		p.seen(info.Size())
	}
	return nil
}
