package packstore

// slot is where a key's record lies: a bit that says the slot is in use, one that
// says the record was read, 22 bits of the key's hash, 24 of segment and 16 of
// offset in units of 8 bytes.
type slot uint64

const (
	used      slot = 1 << 63
	wasRead   slot = 1 << 62
	tagShift       = 40
	tagMask   slot = 1<<22 - 1<<0
	segMask   slot = 1<<24 - 1
	offMask   slot = 1<<16 - 1
	minTable       = 64
	hashToTag      = 42 // the hash's upper bits: the table is indexed by the lower
)

func makeSlot(hash uint64, seg, off int) slot {
	return used | tagOf(hash)<<tagShift | slot(seg)<<16 | slot(off>>3)
}

func tagOf(hash uint64) slot  { return slot(hash>>hashToTag) & tagMask }
func (s slot) tag() slot      { return s >> tagShift & tagMask }
func (s slot) segment() int   { return int(s >> 16 & segMask) }
func (s slot) offset() int    { return int(s&offMask) << 3 }
func (s slot) place() slot    { return s & (1<<40 - 1) }
func (s slot) is(o slot) bool { return s.place() == o.place() }

// find returns the index of key's slot, or -1.
func (sh *shard) find(hash uint64, key string) int {
	mask := uint64(len(sh.table) - 1)
	tag := tagOf(hash)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := sh.table[i]
		if s == 0 {
			return -1
		}
		if s.tag() == tag && string(sh.at(s).key()) == key {
			return int(i)
		}
	}
}

// findPlace returns the index of the slot that points at a record, or -1.
func (sh *shard) findPlace(hash uint64, at slot) int {
	mask := uint64(len(sh.table) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := sh.table[i]
		if s == 0 {
			return -1
		}
		if s.is(at) {
			return int(i)
		}
	}
}

// insert adds a slot for a key that has none.
func (sh *shard) insert(hash uint64, s slot) {
	if (sh.n+1)*4 > len(sh.table)*3 {
		sh.grow()
	}
	sh.n++
	sh.place(hash, s)
}

func (sh *shard) place(hash uint64, s slot) {
	mask := uint64(len(sh.table) - 1)
	i := hash & mask
	for sh.table[i] != 0 {
		i = (i + 1) & mask
	}
	sh.table[i] = s
}

// grow doubles the table.
func (sh *shard) grow() {
	old := sh.table
	sh.table = make([]slot, 2*len(old))
	sh.account(int64(len(old)) * 8)
	for _, s := range old {
		if s != 0 {
			sh.place(sh.hashOf(s), s)
		}
	}
}

// erase removes the slot at i and closes the gap, so that no search stops early
// (Knuth, The Art of Computer Programming, vol. 3, algorithm 6.4R).
func (sh *shard) erase(i int) {
	sh.n--
	mask := len(sh.table) - 1
	for {
		sh.table[i] = 0
		hole := i
		for {
			i = (i + 1) & mask
			s := sh.table[i]
			if s == 0 {
				return
			}
			home := int(sh.hashOf(s)) & mask
			if (i-home)&mask >= (i-hole)&mask { // its home is not behind the hole
				sh.table[hole] = s
				break
			}
		}
	}
}
