package diskstore

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"slices"

	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store/diskstore/internal/segment"
)

const (
	manifestName  = "MANIFEST"
	manifestTemp  = "MANIFEST.tmp"
	formatVersion = 1
	maxManifest   = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// manifest says which segments are live. It is one line of JSON and one line
// with the checksum of the first.
type manifest struct {
	Format   int    `json:"format"`
	HashSeed uint64 `json:"hash_seed"`
	NextID   uint64 `json:"next_id"`
	// Sealed is the sequence before which all journal records are in segments.
	Sealed uint64 `json:"sealed"`
	// Written is at least the greatest written_at of all rows, in microseconds.
	Written  int64         `json:"written"`
	Segments []manifestSeg `json:"segments"` // newest first
}

type manifestSeg struct {
	segment.Meta
	// LostAt is not 0 for a segment whose Parquet file is gone and whose index
	// hides what is older: the id that the next segment had then. Once no older
	// segment has a lower id, all have been written without what it hides.
	LostAt uint64 `json:"lost_at,omitempty"`
}

var (
	errManifest        = errors.New("damaged manifest")
	errManifestVersion = errors.New("the directory was written by a newer version")
)

func (m *manifest) encode() ([]byte, error) {
	line, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(line, "\ncrc32c %08x\n", crc32.Checksum(line, castagnoli)), nil
}

func parseManifest(data []byte) (*manifest, error) {
	line, rest, ok := bytes.Cut(data, []byte("\n"))
	if !ok || string(rest) != fmt.Sprintf("crc32c %08x\n", crc32.Checksum(line, castagnoli)) {
		return nil, fmt.Errorf("%w: checksum", errManifest)
	}
	m := &manifest{}
	if err := json.Unmarshal(line, m); err != nil {
		var version struct{ Format int }
		if json.Unmarshal(line, &version) == nil && version.Format > formatVersion {
			return nil, fmt.Errorf("%w: format %d, this program knows %d", errManifestVersion, version.Format, formatVersion)
		}
		return nil, fmt.Errorf("%w: %w", errManifest, err)
	}
	if m.Format > formatVersion {
		return nil, fmt.Errorf("%w: format %d, this program knows %d", errManifestVersion, m.Format, formatVersion)
	}
	if m.Format < 1 {
		return nil, fmt.Errorf("%w: format %d", errManifest, m.Format)
	}
	for _, s := range m.Segments {
		if s.ID == 0 || s.Rows < 0 || s.Size < 0 || s.IndexSize < 0 {
			return nil, fmt.Errorf("%w: segment %d", errManifest, s.ID)
		}
		m.NextID = max(m.NextID, s.ID+1)
	}
	return m, nil
}

func newManifest() *manifest {
	return &manifest{Format: formatVersion, HashSeed: rand.Uint64(), NextID: 1}
}

// readManifest returns the manifest, or nil and no error where there is none.
func readManifest(fsys vfs.FS) (*manifest, error) {
	data, err := vfs.ReadFile(fsys, manifestName, maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseManifest(data)
}

// write replaces the manifest. Where it fails and uncertain is true either the
// old or the new one is on the disk.
func (m *manifest) write(fsys vfs.FS) (uncertain bool, err error) {
	data, err := m.encode()
	if err != nil {
		return false, err
	}
	err = vfs.WriteFile(fsys, ".", manifestTemp, manifestName, data)
	return errors.Is(err, vfs.ErrUncertain), err
}

// salvage makes a manifest from the segments' own footers. Of segments that
// hold the same journal records the wider one is kept: it was compacted from
// the others.
func (s *Store) salvage() (*manifest, error) {
	entries, err := s.fs.ReadDir(kvDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	m := newManifest()
	for _, e := range entries {
		id, kind, ok := segment.ParseName(e.Name())
		if !ok {
			continue
		}
		m.NextID = max(m.NextID, id+1)
		if kind != ".parquet" {
			continue
		}
		meta, seed, err := segment.Describe(s.fs, kvDir, id)
		if err != nil && !errors.Is(err, segment.ErrData) {
			return nil, err
		}
		if err != nil {
			s.fault("open", err)
			s.discard([]manifestSeg{{Meta: segment.Meta{ID: id}}})
			continue
		}
		m.HashSeed = seed
		m.Segments = append(m.Segments, manifestSeg{Meta: meta})
		m.Sealed = max(m.Sealed, meta.MaxSeq+1)
	}
	m.order()
	return m, nil
}

// order sorts salvaged segments, newest first, and drops those that another
// one contains.
func (m *manifest) order() {
	slices.SortFunc(m.Segments, func(a, b manifestSeg) int {
		switch {
		case a.MaxSeq != b.MaxSeq:
			return cmp.Compare(b.MaxSeq, a.MaxSeq)
		case a.MinSeq != b.MinSeq:
			return cmp.Compare(a.MinSeq, b.MinSeq)
		}
		return cmp.Compare(b.ID, a.ID)
	})
	kept := m.Segments[:0]
	for _, s := range m.Segments {
		if n := len(kept); n > 0 && kept[n-1].MinSeq <= s.MinSeq {
			continue
		}
		kept = append(kept, s)
	}
	m.Segments = kept
}
