package segment

// Parquet's physical types.
const (
	typeInt32     = 1
	typeInt64     = 2
	typeByteArray = 6
)

// The columns, in the order of the file. The order is part of the format.
const (
	colValue = iota
	colKey
	colExpires
	colFresh
	colWritten
	colVersion
	colKind
	colCodec
	colTags
	numColumns
)

type column struct {
	name    string
	typ     int
	logical func(*encoder)
	conv    int // converted type; -1: none
	width   int // bytes of a value; 0: a length and so many bytes
	stats   bool
}

var columns = [numColumns]column{
	colValue:   {name: "value", typ: typeByteArray, conv: -1},
	colKey:     {name: "key", typ: typeByteArray, conv: 0, logical: logicalString},
	colExpires: {name: "expires_at", typ: typeInt64, conv: 10, logical: logicalTime, width: 8, stats: true},
	colFresh:   {name: "fresh_until", typ: typeInt64, conv: 10, logical: logicalTime, width: 8, stats: true},
	colWritten: {name: "written_at", typ: typeInt64, conv: 10, logical: logicalTime, width: 8, stats: true},
	colVersion: {name: "version", typ: typeInt64, conv: 14, logical: logicalUint64, width: 8},
	colKind:    {name: "kind", typ: typeInt32, conv: 15, logical: logicalInt8, width: 4},
	colCodec:   {name: "codec", typ: typeByteArray, conv: 0, logical: logicalString},
	colTags:    {name: "tags", typ: typeByteArray, conv: 0, logical: logicalString},
}

func logicalString(e *encoder) { e.begin(1); e.close() }

func logicalTime(e *encoder) {
	e.begin(8)
	e.boolean(1, true) // UTC
	e.begin(2)
	e.begin(2) // microseconds
	e.close()
	e.close()
	e.close()
}

func logicalUint64(e *encoder) { e.begin(10); e.i8(1, 64); e.boolean(2, false); e.close() }
func logicalInt8(e *encoder)   { e.begin(10); e.i8(1, 8); e.boolean(2, true); e.close() }

// Kind says what a row is.
type Kind uint8

// The kinds. Their numbers are part of the format.
const (
	KindValue   Kind = 0 // the value itself
	KindDeleted Kind = 1 // a tombstone: older rows of the key are dead
	KindTable   Kind = 2 // the value refers to a table file
)

// chunk describes a column chunk of a row group.
type chunk struct {
	offset   int64 // of its first page
	size     int64
	values   int64
	min, max int64
}

// group describes a row group.
type group struct {
	rows   int64
	size   int64
	chunks [numColumns]chunk
}

// kv is a pair of the footer's metadata.
type kv struct{ key, value string }

// encodeFooter returns Parquet's FileMetaData.
func encodeFooter(groups []group, meta []kv) []byte {
	rows := int64(0)
	for i := range groups {
		rows += groups[i].rows
	}
	e := &encoder{}
	e.open()
	e.i32(1, 2)
	e.list(2, tStruct, numColumns+1)
	e.open()
	e.str(4, "strata")
	e.i32(5, numColumns)
	e.close()
	for i := range columns {
		encodeSchema(e, &columns[i])
	}
	e.i64(3, rows)
	e.list(4, tStruct, len(groups))
	for i := range groups {
		encodeGroup(e, &groups[i], i)
	}
	e.list(5, tStruct, len(meta))
	for _, m := range meta {
		e.open()
		e.str(1, m.key)
		e.str(2, m.value)
		e.close()
	}
	e.str(6, "strata")
	e.list(7, tStruct, numColumns)
	for range columns {
		e.open()
		e.begin(1) // the order that the type defines
		e.close()
		e.close()
	}
	e.close()
	return e.b
}

func encodeSchema(e *encoder, c *column) {
	e.open()
	e.i32(1, c.typ)
	e.i32(3, 0) // REQUIRED
	e.str(4, c.name)
	if c.conv >= 0 {
		e.i32(6, c.conv)
	}
	if c.logical != nil {
		e.begin(10)
		c.logical(e)
		e.close()
	}
	e.close()
}

func encodeGroup(e *encoder, g *group, ordinal int) {
	e.open()
	e.list(1, tStruct, numColumns)
	for i := range g.chunks {
		encodeChunk(e, &columns[i], &g.chunks[i])
	}
	e.i64(2, g.size)
	e.i64(3, g.rows)
	e.i64(5, g.chunks[0].offset)
	e.i64(6, g.size)
	e.close()
	_ = ordinal // optional in the format, and limited to 15 bits
}

func encodeChunk(e *encoder, c *column, k *chunk) {
	e.open()
	e.i64(2, k.offset)
	e.begin(3)
	e.i32(1, c.typ)
	e.list(2, tI32, 1)
	e.b = append(e.b, 0) // PLAIN
	e.list(3, tBinary, 1)
	e.rawStr(c.name)
	e.i32(4, 0) // uncompressed
	e.i64(5, k.values)
	e.i64(6, k.size)
	e.i64(7, k.size)
	e.i64(9, k.offset)
	if c.stats && k.values > 0 {
		e.begin(12)
		e.i64(3, 0)
		e.str(5, int64Bytes(k.max))
		e.str(6, int64Bytes(k.min))
		e.close()
	}
	e.close()
	e.close()
}

func int64Bytes(v int64) string {
	var b [8]byte
	putU64(b[:], uint64(v))
	return string(b[:])
}

// encodePageHeader returns the header of a data page, version 1.
func encodePageHeader(dst []byte, size, values int, crc uint32) []byte {
	e := encoder{b: dst}
	e.open()
	e.i32(1, 0)
	e.i32(2, size)
	e.i32(3, size)
	e.i32(4, int(int32(crc)))
	e.begin(5)
	e.i32(1, values)
	e.i32(2, 0) // PLAIN
	e.i32(3, 3) // RLE, for levels that do not occur
	e.i32(4, 3)
	e.close()
	e.close()
	return e.b
}
