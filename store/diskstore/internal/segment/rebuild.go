package segment

import (
	"fmt"
	"hash/crc32"

	"github.com/stratacache/strata/internal/vfs"
)

// CheckPages checks the checksums of all pages of a segment's Parquet file, on
// which other readers depend. It returns how many are wrong.
func (r *Reader) CheckPages() (bad int, err error) {
	n := len(r.pq)
	if n < 12 {
		return 0, ErrData
	}
	size := int(le.Uint32(r.pq[n-8:]))
	if size > n-12 {
		return 0, ErrData
	}
	f, err := parseFooter(r.pq[n-8-size : n-8])
	if err != nil {
		return 0, err
	}
	for i := range f.groups {
		for col := range f.groups[i].chunks {
			p, err := pages(r.pq, &f.groups[i].chunks[col])
			if err != nil {
				return bad, err
			}
			for _, page := range p {
				if !page.ok {
					bad++
				}
			}
		}
	}
	return bad, nil
}

// CheckIndex checks all pages of the index that have not been read yet.
func (r *Reader) CheckIndex() error {
	for page := uint64(1); page < r.secs[secSums].off/pageSize; page++ {
		if !r.checkPage(page) {
			return fmt.Errorf("%w: page %d of segment %d", ErrIndex, page, r.Meta.ID)
		}
	}
	return nil
}

// Describe reads the meta of a segment from its Parquet file alone, for a
// manifest that was lost.
func Describe(fsys vfs.FS, dir string, id uint64) (m Meta, seed uint64, err error) {
	footer, err := footerOf(fsys, Name(dir, id))
	if err != nil {
		return m, 0, err
	}
	f, err := parseFooter(footer)
	if err != nil {
		return m, 0, err
	}
	if f.meta[metaID] != id {
		return m, 0, fmt.Errorf("%w: segment %d has the name of %d", ErrData, f.meta[metaID], id)
	}
	fi, err := fsys.Stat(Name(dir, id))
	if err != nil {
		return m, 0, err
	}
	return Meta{
		ID: id, Rows: f.rows, Size: fi.Size(), FooterCRC: crc32.Checksum(footer, castagnoli),
		MinSeq: f.meta[metaMinSeq], MaxSeq: f.meta[metaMaxSeq],
	}, f.meta[metaSeed], nil
}

// Rebuild writes the index of a segment anew from its Parquet file. A row whose
// page fails its checksum is kept as one that cannot be read. It returns the
// segment's meta, whose ID, Size and FooterCRC it checks.
func Rebuild(fsys vfs.FS, dir string, meta Meta) (Meta, error) {
	data, err := mapName(fsys, Name(dir, meta.ID))
	if err != nil {
		return meta, damage(ErrData, err)
	}
	defer data.Close()
	footer, err := footerOf(fsys, Name(dir, meta.ID))
	if err != nil {
		return meta, err
	}
	if crc32.Checksum(footer, castagnoli) != meta.FooterCRC || int64(len(data.Data)) != meta.Size {
		return meta, fmt.Errorf("%w: segment %d: footer checksum", ErrData, meta.ID)
	}
	f, err := parseFooter(footer)
	if err != nil {
		return meta, err
	}
	b := &rebuilder{pq: data.Data, seed: f.meta[metaSeed]}
	if err := b.run(fsys, dir, f, &meta); err != nil {
		if b.ix != nil {
			_ = b.ix.file.Close()
			_ = fsys.Remove(IndexName(dir, meta.ID) + TempSuffix)
		}
		return meta, err
	}
	return meta, fsys.SyncDir(dir)
}

type rebuilder struct {
	pq   []byte
	seed uint64
	ix   *indexWriter
	meta Meta
	last Hash
}

func (b *rebuilder) run(fsys vfs.FS, dir string, f *footerInfo, meta *Meta) error {
	rows := int64(0)
	for i := range f.groups {
		g := &f.groups[i]
		if g.rows < 0 || g.rows > g.chunks[colKind].size/4 { // each row takes at least that
			return fmt.Errorf("%w: segment %d: row counts", ErrData, meta.ID)
		}
		rows += g.rows
	}
	if rows != f.rows || rows > int64(len(b.pq)) {
		return fmt.Errorf("%w: segment %d: row counts", ErrData, meta.ID)
	}
	b.meta = *meta
	b.meta.Rows, b.meta.Deleted, b.meta.Poisoned, b.meta.Tables, b.meta.TableBytes = 0, 0, 0, 0, 0
	b.meta.MinSeq, b.meta.MaxSeq = f.meta[metaMinSeq], f.meta[metaMaxSeq]
	var err error
	b.ix, err = newIndexWriter(fsys, dir, WriterOptions{ID: meta.ID, Seed: b.seed, Rows: int(rows)})
	if err != nil {
		return err
	}
	b.ix.expiry.Base = b.base(f)
	for i := range f.groups {
		if err := b.group(&f.groups[i]); err != nil {
			return err
		}
	}
	if err := b.ix.finish(&b.meta); err != nil {
		return err
	}
	if err := b.ix.file.Close(); err != nil {
		return err
	}
	*meta = b.meta
	return fsys.Rename(IndexName(dir, meta.ID)+TempSuffix, IndexName(dir, meta.ID))
}

// base returns the last write of the first row group, as the base of the expiry
// counts.
func (b *rebuilder) base(f *footerInfo) (base int64) {
	for i := range f.groups {
		if p, err := pages(b.pq, &f.groups[i].chunks[colWritten]); err == nil && len(p) == 1 && p[0].ok && p[0].size >= 8 {
			base = max(base, int64(le.Uint64(b.pq[p[0].body:])))
		}
	}
	return base
}

// group indexes a row group.
func (b *rebuilder) group(g *group) error {
	bad := fmt.Errorf("%w: segment %d: columns do not fit", ErrData, b.meta.ID)
	var bodies [numColumns]uint64
	intact := true
	for col := colKey; col < numColumns; col++ {
		p, err := pages(b.pq, &g.chunks[col])
		if err != nil {
			return err
		}
		if len(p) != 1 || int64(p[0].values) != g.rows || columns[col].width > 0 && p[0].size != uint64(g.rows)*uint64(columns[col].width) {
			return bad
		}
		if !p[0].ok && (col == colKey || col == colKind) {
			return fmt.Errorf("%w: segment %d: checksum of column %s", ErrData, b.meta.ID, columns[col].name)
		}
		intact = intact && p[0].ok
		bodies[col] = p[0].body
	}
	values, err := pages(b.pq, &g.chunks[colValue])
	if err != nil {
		return err
	}
	recs, extras, err := b.rows(g, values, bodies, intact)
	if err != nil {
		return err
	}
	b.ix.group(recs, extras, bodies)
	return nil
}

// cursor walks a column of byte arrays.
type cursor struct {
	at, end uint64
}

func (b *rebuilder) next(c *cursor) (off uint64, v []byte, ok bool) {
	if c.end-c.at < 4 {
		return 0, nil, false
	}
	n := uint64(le.Uint32(b.pq[c.at:]))
	off = c.at
	if n > c.end-c.at-4 {
		return 0, nil, false
	}
	v = b.pq[c.at+4 : c.at+4+n]
	c.at += 4 + n
	return off, v, true
}

func (b *rebuilder) rows(g *group, values []page, bodies [numColumns]uint64, intact bool) (recs []record, extras []extra, err error) {
	bad := fmt.Errorf("%w: segment %d: a column is cut", ErrData, b.meta.ID)
	column := func(col int) cursor {
		k := &g.chunks[col]
		return cursor{bodies[col], uint64(k.offset + k.size)}
	}
	keys, codecs, tags := column(colKey), column(colCodec), column(colTags)
	row := uint64(0)
	for _, p := range values {
		vals := cursor{p.body, p.body + p.size}
		for range p.values {
			kOff, text, ok1 := b.next(&keys)
			vOff, value, ok2 := b.next(&vals)
			_, codec, ok3 := b.next(&codecs)
			tOff, tag, ok4 := b.next(&tags)
			// Lengths inside a damaged page cannot be trusted: its rows keep
			// their keys and lose their values.
			good := p.ok && intact && ok2 && ok3 && ok4
			if p.ok && !ok2 || !ok1 || row >= uint64(g.rows) {
				return nil, nil, bad
			}
			if !good {
				vOff, value, codec, tag = p.body, nil, nil, nil
			}
			rec, err := b.row(row, text, value, string(codec), string(tag), bodies, good)
			if err != nil {
				return nil, nil, err
			}
			rec.kOff, rec.vOff = kOff, vOff+4
			if len(tag) > 0 {
				rec.flags |= flagTags
				extras = append(extras, extra{b.ix.rows + row, tOff})
			}
			recs = append(recs, rec)
			row++
		}
	}
	if row != uint64(g.rows) {
		return nil, nil, bad
	}
	return recs, extras, nil
}

// row makes the record of one row and counts it.
func (b *rebuilder) row(i uint64, text, value []byte, codec, tags string, bodies [numColumns]uint64, good bool) (rec record, err error) {
	key, ok := keyOf(text)
	h := HashKey(b.seed, key)
	if !ok {
		h, ok = parseHashText(text)
	}
	if !ok || h.Less(b.last) {
		return rec, fmt.Errorf("%w: segment %d: rows out of order", ErrData, b.meta.ID)
	}
	b.last = h
	at := func(col int) int64 { return int64(le.Uint64(b.pq[bodies[col]+8*i:])) }
	kind := Kind(b.pq[bodies[colKind]+4*i] & flagKind)
	expires := at(colExpires)
	rec = record{hash: h, vLen: uint32(len(value)), codec: b.ix.codec(codec), flags: uint8(kind)}
	rec.crc = rowCRC(kind, expires, at(colFresh), uint64(at(colVersion)), stringOf(text), tags, value)
	m := &b.meta
	if !good {
		rec.crc = ^rec.crc
		m.Poisoned++
	}
	m.Rows++
	if kind == KindDeleted {
		m.Deleted++
	}
	m.MaxWritten = max(m.MaxWritten, at(colWritten))
	m.MaxExpires = max(m.MaxExpires, expires)
	b.ix.expiry.add(expires, RowBytes(len(text), len(value))+m.table(kind, value))
	return rec, nil
}
