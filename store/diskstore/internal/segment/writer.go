package segment

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"unsafe"

	"github.com/stratacache/strata/internal/vfs"
)

// Limits of pages and row groups: large enough to cost little per row, small
// enough for readers that load a row group at once.
const (
	pageBytes  = 1 << 20
	groupRows  = 128 << 10
	groupBytes = 128 << 20
	auxBytes   = 24 << 20
	headRoom   = 64 // before a page's body, for its header
)

// Row is a row to be written. Text and TagsText are the stored forms: see
// NewRow.
type Row struct {
	Hash                    Hash
	Text                    string
	Kind                    Kind
	Value                   []byte
	Expires, Fresh, Written int64 // microseconds
	Version                 uint64
	Codec                   string
	TagsText                string
}

// SetKey sets the key and the tags in their stored form.
func (r *Row) SetKey(key string, tags []string) {
	r.Text, r.TagsText = keyText(key), tagsText(tags)
}

// WriterOptions are the settings of Create.
type WriterOptions struct {
	ID     uint64
	Seed   uint64
	Rows   int   // at most so many rows will be appended
	Now    int64 // microseconds: base of the expiry counts
	MinSeq uint64
	MaxSeq uint64
	// Throttle is called before so many bytes are written; nil: no limit.
	Throttle func(bytes int)
	// GroupRows bounds the rows of a row group; 0: 131,072.
	GroupRows int
	// Bytes is about what the Parquet file will have: room for it is asked for
	// at once. 0: it is not.
	Bytes int64
	// Ahead has the Parquet file written by a goroutine, while Append makes
	// what is written next.
	Ahead bool
}

// Writer writes a segment. Not safe for concurrent use.
type Writer struct {
	fs   vfs.FS
	dir  string
	opts WriterOptions
	file vfs.File
	out  *output
	ix   *indexWriter
	meta Meta
	last Hash

	page     []byte // headRoom, then the body of the value page
	pageFrom int    // first record of the page in recs
	recs     []record
	extras   []extra
	cols     [numColumns][]byte
	groups   []group
	cur      group
	first    int64 // row number of the group's first row
}

// Create begins a segment in dir. Its files have temporary names until Finish.
func Create(fsys vfs.FS, dir string, opts WriterOptions) (*Writer, error) {
	w := &Writer{fs: fsys, dir: dir, opts: opts}
	w.meta = Meta{ID: opts.ID, MinSeq: opts.MinSeq, MaxSeq: opts.MaxSeq}
	if opts.GroupRows == 0 {
		w.opts.GroupRows = groupRows
	}
	var err error
	if w.file, err = fsys.Create(Name(dir, opts.ID) + TempSuffix); err != nil {
		return nil, err
	}
	w.out = newOutput(w.file, &opts)
	w.out.reserve(opts.Bytes)
	if opts.Ahead {
		w.out.goAhead()
	}
	if w.ix, err = newIndexWriter(fsys, dir, opts); err != nil {
		w.Abort()
		return nil, err
	}
	w.page = w.out.fresh()[:headRoom]
	rows := min(opts.Rows, w.opts.GroupRows)
	w.recs = make([]record, 0, rows)
	for i, c := range columns[colKey:] { // 4 bytes is the least of those that vary
		w.cols[colKey+i] = make([]byte, 0, rows*max(c.width, 4))
	}
	w.out.Write([]byte(parMagic))
	return w, nil
}

// Append adds a row. Rows come in the order of their hashes.
func (w *Writer) Append(r *Row) error {
	if r.Hash.Less(w.last) {
		return errors.New("segment: rows out of order")
	}
	if len(r.Text) > MaxText || len(r.Value) > MaxValue || int(w.meta.Rows) >= w.opts.Rows {
		return fmt.Errorf("segment: row of %d and %d bytes exceeds a limit", len(r.Text), len(r.Value))
	}
	w.last = r.Hash
	w.pushValue(r)
	w.pushColumns(r)
	w.count(r)
	if len(w.recs) >= w.opts.GroupRows || w.cur.size >= groupBytes || len(w.cols[colKey]) >= auxBytes || len(w.cols[colTags]) >= auxBytes {
		w.flushGroup()
	}
	return w.out.err
}

func (w *Writer) pushValue(r *Row) {
	if n := len(w.page) - headRoom; n > 0 && n+4+len(r.Value) > pageBytes {
		w.flushPage()
	}
	rec := record{hash: r.Hash, vLen: uint32(len(r.Value)), flags: uint8(r.Kind), codec: w.ix.codec(r.Codec)}
	rec.crc = rowCRC(r.Kind, r.Expires, r.Fresh, r.Version, r.Text, r.TagsText, r.Value)
	if r.TagsText != "" {
		rec.flags |= flagTags
		w.extras = append(w.extras, extra{uint64(w.meta.Rows), uint64(len(w.cols[colTags]))})
	}
	w.page = le.AppendUint32(w.page, uint32(len(r.Value)))
	rec.vOff = uint64(len(w.page) - headRoom)
	rec.kOff = uint64(len(w.cols[colKey]))
	w.page = append(w.page, r.Value...)
	w.recs = append(w.recs, rec)
}

func (w *Writer) pushColumns(r *Row) {
	c := &w.cols
	c[colKey] = appendBytes(c[colKey], r.Text)
	c[colExpires] = le.AppendUint64(c[colExpires], uint64(r.Expires))
	c[colFresh] = le.AppendUint64(c[colFresh], uint64(r.Fresh))
	c[colWritten] = le.AppendUint64(c[colWritten], uint64(r.Written))
	c[colVersion] = le.AppendUint64(c[colVersion], r.Version)
	c[colKind] = le.AppendUint32(c[colKind], uint32(r.Kind))
	c[colCodec] = appendBytes(c[colCodec], r.Codec)
	c[colTags] = appendBytes(c[colTags], r.TagsText)
	for i, v := range [...]int64{colExpires: r.Expires, colFresh: r.Fresh, colWritten: r.Written} {
		k := &w.cur.chunks[i]
		if w.cur.rows == 0 {
			k.min, k.max = v, v
		}
		k.min, k.max = min(k.min, v), max(k.max, v)
	}
}

func appendBytes(dst []byte, s string) []byte {
	return append(le.AppendUint32(dst, uint32(len(s))), s...)
}

func (w *Writer) count(r *Row) {
	w.cur.rows++
	m := &w.meta
	m.Rows++
	if r.Kind == KindDeleted {
		m.Deleted++
	}
	m.MaxWritten = max(m.MaxWritten, r.Written)
	m.MaxExpires = max(m.MaxExpires, r.Expires)
	w.ix.expiry.add(r.Expires, RowBytes(len(r.Text), len(r.Value))+m.table(r.Kind, r.Value))
}

// table counts a row that refers to a table file, and returns the file's size.
func (m *Meta) table(kind Kind, value []byte) int {
	if kind != KindTable {
		return 0
	}
	ref, _ := ParseTableRef(value)
	m.Tables++
	m.TableBytes += ref.Size
	return int(ref.Size)
}

// RowBytes returns about what a row takes on the disk.
func RowBytes(key, value int) int { return key + value + 85 }

// flushPage writes the page of values.
func (w *Writer) flushPage() {
	body := w.page[headRoom:]
	if len(body) == 0 {
		return
	}
	size, values := len(body), len(w.recs)-w.pageFrom
	start := w.out.off
	var head [headRoom]byte
	h := encodePageHeader(head[:0], size, values, crc32.ChecksumIEEE(body))
	at := headRoom - len(h)
	copy(w.page[at:], h)
	w.page = w.out.Hand(w.page, at)[:headRoom]
	w.cur.add(colValue, start, len(h)+size, values)
	base := uint64(start) + uint64(len(h))
	for i := w.pageFrom; i < len(w.recs); i++ {
		w.recs[i].vOff += base
	}
	w.pageFrom = len(w.recs)
}

// add notes a page in its chunk.
func (g *group) add(col int, start int64, size, values int) {
	k := &g.chunks[col]
	if k.values == 0 {
		k.offset = start
	}
	k.size += int64(size)
	k.values += int64(values)
	g.size += int64(size)
}

// flushGroup ends the row group: the columns other than the value are one page
// each, so that a row's place in them is arithmetic.
func (w *Writer) flushGroup() {
	if w.cur.rows == 0 {
		return
	}
	w.flushPage()
	var bodies [numColumns]uint64
	for col := colKey; col < numColumns; col++ {
		body := w.cols[col]
		start := w.out.off
		var head [headRoom]byte
		h := encodePageHeader(head[:0], len(body), int(w.cur.rows), crc32.ChecksumIEEE(body))
		w.out.Write(h)
		bodies[col] = uint64(w.out.off)
		w.out.Lend(body)
		w.cur.add(col, start, len(h)+len(body), int(w.cur.rows))
		w.cols[col] = body[:0]
	}
	for i := range w.recs {
		w.recs[i].kOff += bodies[colKey]
	}
	for i := range w.extras {
		w.extras[i].off += bodies[colTags]
	}
	w.ix.group(w.recs, w.extras, bodies)
	w.out.wait()
	w.groups = append(w.groups, w.cur)
	w.first += w.cur.rows
	w.cur = group{}
	w.recs, w.extras, w.pageFrom = w.recs[:0], w.extras[:0], 0
}

// Size returns the bytes written so far, buffers included.
func (w *Writer) Size() int64 { return w.out.off + int64(len(w.page)) + w.meta.Rows*recordSize }

// Rows returns the number of rows appended so far.
func (w *Writer) Rows() int64 { return w.meta.Rows }

// Finish ends the segment: both files are on the disk under their names when it
// returns, once the directory has been synced. After an error call Abort.
func (w *Writer) Finish() (Meta, error) {
	w.flushGroup()
	footer := encodeFooter(w.groups, w.footerMeta())
	w.out.Write(footer)
	w.out.Write(le.AppendUint32(nil, uint32(len(footer))))
	w.out.Write([]byte(parMagic))
	w.meta.Size = w.out.off
	w.meta.FooterCRC = crc32.Checksum(footer, castagnoli)
	done := make(chan error, 1) // both files are synced at the same time
	go func() { done <- w.out.sync() }()
	err := errors.Join(w.ix.finish(&w.meta), <-done)
	if err != nil {
		return Meta{}, err
	}
	id := w.opts.ID
	err = errors.Join(w.file.Close(), w.ix.file.Close())
	w.file, w.ix.file = nil, nil
	if err == nil {
		err = w.fs.Rename(IndexName(w.dir, id)+TempSuffix, IndexName(w.dir, id))
	}
	if err == nil {
		err = w.fs.Rename(Name(w.dir, id)+TempSuffix, Name(w.dir, id))
	}
	return w.meta, err
}

// Footer metadata: what is needed to rebuild the manifest and the index.
const (
	metaFormat = "strata.format"
	metaID     = "strata.segment"
	metaSeed   = "strata.seed"
	metaMinSeq = "strata.min_seq"
	metaMaxSeq = "strata.max_seq"
)

func (w *Writer) footerMeta() []kv {
	u := func(v uint64) string { return strconv.FormatUint(v, 10) }
	return []kv{
		{metaFormat, u(formatVersion)}, {metaID, u(w.opts.ID)}, {metaSeed, u(w.opts.Seed)},
		{metaMinSeq, u(w.opts.MinSeq)}, {metaMaxSeq, u(w.opts.MaxSeq)},
	}
}

// Abort removes what has been written, whether Finish failed or was not called.
func (w *Writer) Abort() {
	w.out.stop()
	if w.file != nil {
		_ = w.file.Close()
	}
	if w.ix != nil && w.ix.file != nil {
		_ = w.ix.file.Close()
	}
	for _, name := range [...]string{Name(w.dir, w.opts.ID), IndexName(w.dir, w.opts.ID)} {
		_ = w.fs.Remove(name + TempSuffix)
		_ = w.fs.Remove(name)
	}
}

func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
