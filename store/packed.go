package store

// Packed is what an object is made of, for a store that keeps objects without
// pointers to them. Times are Unix nanoseconds; the greatest int64 is never.
type Packed struct {
	Value   []byte
	Version uint64
	Epoch   uint64
	Hot     int64 // until then a reader need not think
	Fresh   int64 // soft deadline
	Expires int64 // hard deadline
}

// Packer is an object that can be packed.
type Packer interface {
	// Pack fills p in, with the object's own Value, and reports whether p says
	// all there is: an object that cannot be packed is kept as it is.
	Pack(p *Packed) bool
}

// PackedReader is an in-process store that hands out packed objects without
// making an object of them.
type PackedReader interface {
	// GetPacked returns what lies under key. The value is appended to buf, which is
	// returned too, and p.Value is that part of it. ok is false where nothing lies
	// there in packed form; GetObject may still have it. key is not kept.
	GetPacked(key string, buf []byte) (p Packed, newBuf []byte, ok bool)
}

// PackedWriter is an in-process store that takes packed objects.
type PackedWriter interface {
	// PutPacked is SetObject for the object that p is made of. It keeps neither key
	// nor p.Value. ok is false where it was not stored: it is too large to be
	// packed, or the store is closed; what was there is still there then.
	PutPacked(key string, p Packed) (ok bool)
}

// Counter is a store that can count its keys without listing them.
type Counter interface {
	// Count returns the number of live keys.
	Count() int64
}
