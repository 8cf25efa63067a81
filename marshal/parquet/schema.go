package parquet

// Numbers of the Parquet format:
// https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
const (
	encPlain       = 0
	encPlainDict   = 2
	encRLE         = 3
	encDelta       = 5
	encDeltaLength = 6
	encRLEDict     = 8
	encSplit       = 9

	codecNone   = 0
	codecSnappy = 1
	codecGzip   = 2
	codecZstd   = 6

	pageData   = 0
	pageIndex  = 1
	pageDict   = 2
	pageDataV2 = 3

	repRequired = 0
	repOptional = 1
	repRepeated = 2
)

const createdBy = "strata version 1"

// Logical types that this package tells apart: fields of the LogicalType union.
const (
	logicalString    = 1
	logicalEnum      = 4
	logicalDecimal   = 5
	logicalDate      = 6
	logicalTimestamp = 8
	logicalInteger   = 10
	logicalJSON      = 12
	logicalBSON      = 13
	logicalUUID      = 14
)

// Converted types, the older form of logical types.
const (
	convUTF8   = 0
	convEnum   = 4
	convDate   = 6
	convMillis = 9
	convMicros = 10
	convUint8  = 11
	convInt8   = 15
	convJSON   = 19
	convBSON   = 20
)

// prepare renders what never changes of a file's metadata.
func (p *plan) prepare() {
	for i := range p.cols {
		c := &p.cols[i]
		c.large = c.layout(p.opts.encodingOf(c), &p.opts)
		c.small = c.large
		if c.kind == kTime {
			c.small = c.layout(encDelta, &p.opts)
		}
		p.leaves[0] = append(p.leaves[0], c.leaf(unitMicros))
		p.leaves[1] = append(p.leaves[1], c.leaf(unitNanos))
	}
	p.schema[0] = p.renderSchema(unitMicros)
	p.schema[1] = p.renderSchema(unitNanos)
}

// encodingOf is the encoding of a column in large row groups.
func (o *Options) encodingOf(c *column) int {
	if o.Encoding == Compact && (c.phys == physInt32 || c.phys == physInt64) {
		return encDelta
	}
	return encPlain
}

// smallRows is up to which number of rows times are stored as differences even
// by the Plain encoding: regular times shrink to half or less, and to decode
// them all costs no more than a search in a large group.
const smallRows = 4096

// layoutOf returns how the column is stored in a group of n rows.
func (c *column) layoutOf(n int) *layout {
	if n <= smallRows {
		return &c.small
	}
	return &c.large
}

// codec is the format's number of the compression.
func (o *Options) codec() int {
	return [...]int{Uncompressed: codecNone, Snappy: codecSnappy, Zstd: codecZstd}[o.Compression]
}

// layout renders the first four fields of ColumnMetaData.
func (c *column) layout(encoding int, o *Options) layout {
	b := fieldInt(nil, 1, tI32, int64(c.phys))
	b = field(b, 1, tList)
	if c.optional {
		b = zigzag(putList(b, 2, tI32), encRLE) // of the levels
	} else {
		b = putList(b, 1, tI32)
	}
	b = zigzag(b, int64(encoding))
	b = putString(putList(field(b, 1, tList), 1, tBinary), c.name)
	return layout{encoding: encoding, head: fieldInt(b, 1, tI32, int64(o.codec()))}
}

// renderSchema renders the version and schema of FileMetaData. auto is the
// resolution of time columns that declare none.
func (p *plan) renderSchema(auto unit) []byte {
	b := fieldInt(nil, 1, tI32, 2)
	b = putList(field(b, 1, tList), len(p.cols)+1, tStruct)
	b = fieldBytes(b, 4, "schema")
	b = append(fieldInt(b, 1, tI32, int64(len(p.cols))), tStop)
	for i := range p.cols {
		b = p.cols[i].renderElement(b, auto)
	}
	return b
}

// renderElement renders a SchemaElement.
func (c *column) renderElement(b []byte, auto unit) []byte {
	rep := int64(repRequired)
	if c.optional {
		rep = repOptional
	}
	b = fieldInt(b, 1, tI32, int64(c.phys))
	b = fieldInt(b, 2, tI32, rep)
	b = fieldBytes(b, 1, c.name)
	switch {
	case c.kind == kTime || c.unit != unitNone:
		b = renderTimestamp(b, c.resolution(auto))
	case c.kind == kString:
		b = fieldInt(b, 2, tI32, convUTF8)
		b = append(field(b, 4, tStruct), logicalString<<4|tStruct, tStop, tStop)
	case c.kind >= kInt8 && c.kind <= kUint64 && c.kind != kInt32 && c.kind != kInt64:
		b = c.renderInteger(b)
	}
	return append(b, tStop)
}

// resolution is the unit of the column in a file whose automatic unit is auto.
func (c *column) resolution(auto unit) unit {
	if c.unit == unitNone && c.kind == kTime {
		return auto
	}
	return c.unit
}

func renderTimestamp(b []byte, u unit) []byte {
	delta := 4
	switch u { // nanoseconds have no converted type
	case unitMillis:
		b = fieldInt(b, 2, tI32, convMillis)
	case unitMicros:
		b = fieldInt(b, 2, tI32, convMicros)
	default:
		delta = 6
	}
	b = field(b, delta, tStruct)
	b = field(b, logicalTimestamp, tStruct)
	b = field(b, 1, tTrue) // isAdjustedToUTC
	b = field(b, 1, tStruct)
	b = field(b, int(u), tStruct)
	return append(b, tStop, tStop, tStop, tStop)
}

// renderInteger renders the width and sign of an integer.
func (c *column) renderInteger(b []byte) []byte {
	signed, conv, width := tTrue, convInt8+int(c.kind-kInt8), byte(8<<(c.kind-kInt8))
	if c.kind >= kUint8 {
		signed, conv, width = tFalse, convUint8+int(c.kind-kUint8), 8<<(c.kind-kUint8)
	}
	b = fieldInt(b, 2, tI32, int64(conv))
	b = field(b, 4, tStruct)
	b = field(b, logicalInteger, tStruct)
	b = append(field(b, 1, tByte), width)
	b = field(b, 1, signed)
	return append(b, tStop, tStop)
}
