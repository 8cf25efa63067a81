package segment

import (
	"hash/crc32"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/stratacache/strata/internal/vfs"
)

func FuzzRebuild(f *testing.F) {
	fsys := vfs.Mem()
	rows, _ := testRows(40, func(i int) int { return i })
	writeRows(f, fsys, 1, rows)
	data, _ := vfs.ReadFile(fsys, Name("kv", 1), 1<<30)
	f.Add(data)
	f.Add([]byte("PAR1PAR1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		fsys := vfs.Mem()
		_ = fsys.MkdirAll("kv")
		_ = vfs.WriteFile(fsys, "kv", "kv/t", Name("kv", 1), data)
		m, _, err := Describe(fsys, "kv", 1)
		if err != nil {
			return
		}
		if m, err = Rebuild(fsys, "kv", m); err != nil {
			return
		}
		r, err := Open(fsys, "kv", m)
		if err != nil {
			t.Fatalf("rebuilt index does not open: %v", err)
		}
		defer r.Release()
		for i := range r.Rows() {
			l, _, err := r.Row(i)
			if err != nil {
				t.Fatal(err)
			}
			var it Item
			if r.Read(&l, &it) == nil {
				it.Check(it.Value)
			}
		}
	})
}

// reseal gives an index that somebody made up the checksums that it should have,
// and the names that the manifest expects.
func reseal(data []byte, m *Meta) []byte {
	pages := max(2, len(data)/(pageSize+4))
	ix := make([]byte, pages*pageSize+4*(pages-1))
	copy(ix, data)
	sums := ix[pages*pageSize:]
	for i := range pages - 1 {
		le.PutUint32(sums[4*i:], crc32.Checksum(ix[(i+1)*pageSize:(i+2)*pageSize], castagnoli))
	}
	copy(ix, indexMagic)
	le.PutUint32(ix[hdrVersion:], formatVersion)
	le.PutUint64(ix[hdrID:], m.ID)
	le.PutUint64(ix[hdrRows:], uint64(m.Rows))
	le.PutUint64(ix[hdrParquet:], uint64(m.Size))
	le.PutUint32(ix[hdrFooter:], m.FooterCRC)
	le.PutUint64(ix[hdrSections+16*secSums:], uint64(pages*pageSize))
	le.PutUint64(ix[hdrSections+16*secSums+8:], uint64(len(sums)))
	le.PutUint32(ix[hdrSums:], crc32.Checksum(sums, castagnoli))
	le.PutUint32(ix[hdrCRC:], crc32.Checksum(ix[16:hdrEnd], castagnoli))
	return ix
}

// FuzzIndex reads with an index that is damaged, and with one whose checksums
// are right but which says anything.
func FuzzIndex(f *testing.F) {
	fsys := vfs.Mem()
	rows, keys := testRows(40, func(i int) int { return i })
	m := writeRows(f, fsys, 1, rows)
	data, _ := vfs.ReadFile(fsys, IndexName("kv", 1), 1<<30)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, ix := range [][]byte{data, reseal(data, &m)} {
			if err := vfs.WriteFile(fsys, "kv", "kv/t", IndexName("kv", 1), ix); err != nil {
				t.Fatal(err)
			}
			readAll(fsys, m, keys)
		}
	})
}

// readAll uses a segment as a store does.
func readAll(fsys vfs.FS, m Meta, keys []string) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	r, err := Open(fsys, "kv", m)
	if err != nil {
		return
	}
	defer r.Release()
	for _, key := range keys {
		p := NewProbe(HashKey(testSeed, key))
		_, _ = r.MayHave(&p)
		_, _, _ = r.Has(p.Hash)
		if l, ok, err := r.Find(&p, key); ok && err == nil {
			var it Item
			if r.Read(&l, &it) == nil && it.Check(it.Value) {
				_ = it.Tags()
			}
		}
	}
	for i := range r.Rows() {
		var it Item
		if l, _, err := r.Row(i); err == nil && r.Read(&l, &it) == nil {
			_, _ = it.Key()
			_ = r.Written(&l)
		}
	}
	_ = r.Expired(1 << 60)
}

// TestIndexThatLies tries many lies about the place of things, without a fuzzer.
func TestIndexThatLies(t *testing.T) {
	fsys := vfs.Mem()
	rows, keys := testRows(40, func(i int) int { return i })
	m := writeRows(t, fsys, 1, rows)
	data, _ := vfs.ReadFile(fsys, IndexName("kv", 1), 1<<30)
	for at := 0; at < len(data)-8; at += 4 {
		for _, lie := range []uint64{0, 1, 1 << 31, 1<<32 - 1, 1 << 40, 1<<64 - 1} {
			bad := slices.Clone(data)
			le.PutUint64(bad[at:], lie)
			if err := vfs.WriteFile(fsys, "kv", "kv/t", IndexName("kv", 1), reseal(bad, &m)); err != nil {
				t.Fatal(err)
			}
			readAll(fsys, m, keys)
		}
		switch {
		case at > pageSize:
			at += 44
		case at > hdrEnd && at < pageSize-4:
			at = pageSize - 4
		}
	}
}
