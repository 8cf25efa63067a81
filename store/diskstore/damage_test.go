package diskstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stratacache/strata/internal/vfs"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore/internal/segment"
)

// damaged is a store with two segments, the newer of which replaces and deletes
// keys of the older, and a journal that does so again. Each key's values name
// the key and the generation.
const damagedKeys = 60

func damagedValue(k, generation int) string {
	return fmt.Sprintf("%d/%d/%s", k, generation, strings.Repeat("x", k))
}

// generations returns the last generation of a key; 0: deleted.
func generation(k int) int {
	switch {
	case k%5 == 4:
		return 0
	case k%5 == 3:
		return 3
	case k%5 >= 1:
		return 2
	}
	return 1
}

func damagedStore(t testing.TB) *vfs.MemFS {
	t.Helper()
	fsys := vfs.Mem()
	s, err := Open("", &Options{fs: fsys, Sync: SyncAlways})
	if err != nil {
		t.Fatal(err)
	}
	s.compaction.Lock() // or it depends on the time which segments there are
	set := func(k, g int) {
		mustSet(t, s, fmt.Sprint("key:", k), store.Entry{Value: []byte(damagedValue(k, g)), Version: uint64(g)})
	}
	for k := range damagedKeys {
		set(k, 1)
	}
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	for k := range damagedKeys {
		switch {
		case k%5 == 4 && k%2 == 0:
			err = s.Delete(ctx, fmt.Sprint("key:", k))
		case k%5 >= 1:
			set(k, 2)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	for k := range damagedKeys {
		switch {
		case k%5 == 4 && k%2 == 1:
			err = s.Delete(ctx, fmt.Sprint("key:", k))
		case k%5 == 3:
			set(k, 3)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	image := fsys.CrashClone(rand.New(rand.NewPCG(1, 1)), 0) // the journal is not sealed
	s.compaction.Unlock()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return image
}

// images are the files of a store.
func images(t testing.TB, fsys vfs.FS) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, dir := range []string{".", journalDir, kvDir} {
		entries, err := fsys.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() {
				continue
			}
			name := path.Join(dir, e.Name())
			data, err := vfs.ReadFile(fsys, name, 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			out[name] = data
		}
	}
	return out
}

func fsOf(t testing.TB, files map[string][]byte) *vfs.MemFS {
	t.Helper()
	fsys := vfs.Mem()
	for name, data := range files {
		if err := errors.Join(fsys.MkdirAll(path.Dir(name)), vfs.WriteFile(fsys, path.Dir(name), "t", name, data)); err != nil {
			t.Fatal(err)
		}
	}
	_ = fsys.MkdirAll(journalDir)
	_ = fsys.MkdirAll(kvDir)
	return fsys
}

// checkDamaged reads all keys: each is what it should be, or a miss, or an
// error; never anything else. A damaged journal may show an older generation:
// what it said is lost.
func checkDamaged(t *testing.T, s *Store, what string, journal bool) (hits int) {
	t.Helper()
	for k := range damagedKeys {
		key, g := fmt.Sprint("key:", k), generation(k)
		e, err := s.Get(ctx, key)
		if err != nil {
			if !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrCorrupt) {
				t.Fatalf("%s: %s: %v", what, key, err)
			}
			continue
		}
		hits++
		got := string(e.Value)
		if got == damagedValue(k, g) && e.Version == uint64(g) && g > 0 {
			continue
		}
		if journal && slices.Contains([]string{damagedValue(k, 1), damagedValue(k, 2)}, got) {
			continue
		}
		t.Fatalf("%s: %s is %.30q, want generation %d", what, key, got, g)
	}
	return hits
}

func mutate(rng *rand.Rand, data []byte) []byte {
	out := slices.Clone(data)
	if len(out) == 0 {
		return []byte("x")
	}
	switch rng.IntN(6) {
	case 0:
		return out[:rng.IntN(len(out))]
	case 1:
		return append(out, out[:rng.IntN(len(out))]...)
	case 2:
		at := rng.IntN(len(out))
		clear(out[at:min(at+rng.IntN(600), len(out))])
	default:
		for range 1 + rng.IntN(3) {
			out[rng.IntN(len(out))] ^= 1 << rng.IntN(8)
		}
	}
	return out
}

// TestMutations damages the files of a store at random, one at a time: no panic,
// no value that was not the newest, whatever is read, verified, repaired and
// opened again. STRATA_TORTURE=1 makes 100,000 mutations, in 100 parts that -run
// selects: TestMutations/seed=7.
func TestMutations(t *testing.T) {
	files := images(t, damagedStore(t))
	seeds, rounds := 1, 150
	if os.Getenv("STRATA_TORTURE") != "" {
		seeds, rounds = 100, 1000
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			testMutations(t, files, rand.New(rand.NewPCG(3, uint64(seed))), rounds)
		})
	}
}

func testMutations(t *testing.T, files map[string][]byte, rng *rand.Rand, rounds int) {
	var names []string
	for name, data := range files {
		if name != lockName && len(data) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for round := range rounds {
		name := names[round%len(names)]
		data := mutate(rng, files[name])
		if strings.HasPrefix(name, journalDir) && round%2 == 0 { // most of it is zeros
			data = slices.Clone(files[name])
			data[rng.IntN(2500)] ^= 1 << rng.IntN(8)
		}
		mutated := maps.Clone(files)
		mutated[name] = data
		checkMutated(t, fsOf(t, mutated), fmt.Sprintf("round %d, %s", round, name), strings.HasPrefix(name, journalDir))
	}
}

func checkMutated(t *testing.T, fsys *vfs.MemFS, what string, journal bool) {
	t.Helper()
	opts := Options{fs: fsys, CompactionRate: -1}
	var s *Store
	var err error
	bounded(t, fsys, what+": open", func() { s, err = Open("", &opts) })
	if err != nil {
		if strings.Contains(err.Error(), "newer version") {
			return // refused, nothing touched
		}
		t.Fatalf("%s: open: %v", what, err)
	}
	bounded(t, fsys, what+": reads", func() { checkDamaged(t, s, what, journal) })
	bounded(t, fsys, what+": scan", func() {
		for range s.Scan(ctx, "") {
			continue
		}
	})
	bounded(t, fsys, what+": repair", func() { _, err = s.Repair(ctx) })
	if err != nil {
		t.Fatalf("%s: repair: %v", what, err)
	}
	bounded(t, fsys, what+": reads, repaired", func() { checkDamaged(t, s, what+", repaired", journal) })
	if rep, err := s.Verify(ctx); err != nil || len(rep.Problems) > 0 {
		t.Fatalf("%s: after repair: %v, %v", what, rep.Problems, err)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("%s: close: %v", what, err)
	}
	bounded(t, fsys, what+": open again", func() { s, err = Open("", &opts) })
	if err != nil {
		t.Fatalf("%s: open again: %v", what, err)
	}
	bounded(t, fsys, what+": reads, opened again", func() { checkDamaged(t, s, what+", opened again", journal) })
	_ = s.Close()
}

// bounded fails the test where a step allocates more than four times what the
// files have, and a constant: the index of a segment is rebuilt through buffers of
// a few MiB.
func bounded(t *testing.T, fsys vfs.FS, what string, step func()) {
	t.Helper()
	size, before := diskBytes(fsys), allocated()
	step()
	if n := allocated() - before; n > 4*size+8<<20 {
		t.Errorf("%s: %d bytes of files, and %d were allocated", what, size, n)
	}
}

func allocated() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.TotalAlloc)
}

// diskBytes is the size of all files.
func diskBytes(fsys vfs.FS) (n int64) {
	for _, dir := range []string{".", journalDir, kvDir} {
		entries, _ := fsys.ReadDir(dir)
		for _, e := range entries {
			if fi, err := fsys.Stat(path.Join(dir, e.Name())); err == nil && !fi.IsDir() {
				n += fi.Size()
			}
		}
	}
	return n
}

// TestQuarantine: what was damaged is kept as it was, for a person to look at. Of a
// segment only the rows that are damaged become misses.
func TestQuarantine(t *testing.T) {
	files := images(t, damagedStore(t))
	segmentName := segment.Name(kvDir, 1)
	for name, c := range map[string]struct {
		kept   string
		misses int // at most
	}{
		segmentName:  {path.Join(quarantineDir, path.Base(segmentName)), 1},
		manifestName: {path.Join(quarantineDir, manifestName), damagedKeys},
	} {
		damaged := slices.Clone(files[name])
		at := len(damaged) / 2
		if name == segmentName {
			at = bytes.Index(damaged, []byte(damagedValue(50, 1))) + 10
		}
		damaged[at] ^= 1
		mutated := maps.Clone(files)
		mutated[name] = damaged
		fsys := fsOf(t, mutated)
		s := open(t, fsys, Options{CompactionRate: -1, OnError: func(error) {}})
		if _, err := s.Repair(ctx); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if kept, err := vfs.ReadFile(fsys, c.kept, 1<<30); err != nil || !bytes.Equal(kept, damaged) {
			t.Errorf("%s: %s has %d bytes, %v; want the %d damaged ones", name, c.kept, len(kept), err, len(damaged))
		}
		live := 0
		for k := range damagedKeys {
			if generation(k) > 0 {
				live++
			}
		}
		if hits := checkDamaged(t, s, name, false); hits < live-c.misses {
			t.Errorf("%s: %d of %d keys are left", name, hits, live)
		}
	}
}

// TestIndexHeals: an index whose damage is found while the store is open is rebuilt
// from the segment beside it, and no key is lost.
func TestIndexHeals(t *testing.T) {
	const keys = 3000
	fsys := vfs.Mem()
	s := open(t, fsys, Options{})
	for k := range keys {
		mustSet(t, s, fmt.Sprint("key:", k), store.Entry{Value: []byte(fmt.Sprint(k))})
	}
	if err := errors.Join(s.Flush(ctx), s.Close()); err != nil {
		t.Fatal(err)
	}
	files := images(t, fsys)
	name := segment.IndexName(kvDir, 1)
	for part := 1; part < 8; part++ {
		damaged := slices.Clone(files[name])
		damaged[len(damaged)*part/8] ^= 1
		mutated := maps.Clone(files)
		mutated[name] = damaged
		s := open(t, fsOf(t, mutated), Options{CompactionRate: -1, OnError: func(error) {}})
		if _, err := s.Repair(ctx); err != nil {
			t.Fatalf("part %d: repair: %v", part, err)
		}
		if rep, err := s.Verify(ctx); err != nil || len(rep.Problems) > 0 {
			t.Errorf("part %d: after the repair: %+v, %v", part, rep, err)
		}
		for k := range keys {
			wantValue(t, s, fmt.Sprint("key:", k), []byte(fmt.Sprint(k)))
		}
	}
}

// TestMissingFiles removes files by hand, each alone and some together.
func TestMissingFiles(t *testing.T) {
	fsys := damagedStore(t)
	files := images(t, fsys)
	m, err := readManifest(fsys)
	if err != nil {
		t.Fatal(err)
	}
	// What a compaction has just written anew may still be there, but is nobody's loss.
	live := map[string]bool{}
	for _, g := range m.Segments {
		live[segment.Name(kvDir, g.ID)] = true
	}
	var kv []string
	for name := range files {
		if strings.HasPrefix(name, kvDir) || name == manifestName {
			kv = append(kv, name)
		}
	}
	slices.Sort(kv)
	for set := 1; set < 1<<len(kv); set++ {
		left := map[string][]byte{}
		for n, d := range files {
			if i := slices.Index(kv, n); i < 0 || set&(1<<i) == 0 {
				left[n] = d
			}
		}
		var mu sync.Mutex
		var told strings.Builder
		s, err := Open("", &Options{fs: fsOf(t, left), OnError: func(err error) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintln(&told, err)
		}})
		if err != nil {
			t.Fatalf("without %b of %v: %v", set, kv, err)
		}
		// Without manifest and newest segment nobody can know of the latter.
		blind := set&1 != 0 && slices.Contains(kv, manifestName) && kv[0] == manifestName
		hits := checkDamaged(t, s, fmt.Sprintf("without %b of %v", set, kv), blind)
		if set == 1 && hits == 0 {
			t.Error("nothing is left after the manifest was lost")
		}
		_ = s.Close()
		for i, name := range kv {
			if set&(1<<i) != 0 && left[manifestName] != nil && live[name] && !strings.Contains(told.String(), "lost") {
				t.Errorf("without %b of %v: nobody was told that %s is lost, but: %q", set, kv, name, told.String())
			}
		}
	}
}

// TestOpenShortOfResources makes each call of opening fail as if descriptors
// were short: the store does not open, or opens whole, and nothing is lost.
func TestOpenShortOfResources(t *testing.T) {
	files := images(t, damagedStore(t))
	const ops = vfs.OpOpen | vfs.OpMap | vfs.OpRead | vfs.OpReadDir | vfs.OpStat | vfs.OpCreate
	for _, lost := range []string{"", manifestName, "kv/00000002.idx"} {
		for n := int64(1); n < 60; n++ {
			fsys := fsOf(t, files)
			if lost != "" {
				if err := fsys.Remove(lost); err != nil {
					t.Fatal(err)
				}
			}
			s, err := Open("", &Options{fs: vfs.Faulty(fsys, vfs.FailNth(n, ops, syscall.EMFILE, false))})
			if err == nil {
				_ = s.Close()
			}
			if s, err = Open("", &Options{fs: fsys}); err != nil {
				t.Fatalf("call %d: %v", n, err)
			}
			hits := checkDamaged(t, s, fmt.Sprintf("call %d, without %q", n, lost), false)
			if want := damagedKeys * 4 / 5; hits != want {
				t.Fatalf("call %d, without %q: %d keys of %d are left", n, lost, hits, want)
			}
			_ = s.Close()
		}
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	fsys := damagedStore(t)
	m, err := readManifest(fsys)
	if err != nil {
		t.Fatal(err)
	}
	m.Format = formatVersion + 1
	if _, err := m.write(fsys); err != nil {
		t.Fatal(err)
	}
	before := images(t, fsys)
	_, err = Open("", &Options{fs: fsys})
	if err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Fatalf("open of a newer format: %v", err)
	}
	for name, data := range images(t, fsys) {
		if name != lockName && string(before[name]) != string(data) {
			t.Errorf("%s was changed", name)
		}
	}
}

// TestTruncatedUnderMapping cuts a file that is being read.
func TestTruncatedUnderMapping(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a mapped file cannot be cut here")
	}
	for _, suffix := range []string{"*.parquet", "*.idx"} {
		dir := t.TempDir()
		s := openDir(t, dir, Options{OnError: func(error) {}})
		for k := range 2000 {
			mustSet(t, s, fmt.Sprint(k), store.Entry{Value: []byte(strings.Repeat("v", 500))})
		}
		if err := s.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		names, _ := filepath.Glob(filepath.Join(dir, kvDir, suffix))
		if len(names) != 1 {
			t.Fatal(names)
		}
		if err := os.Truncate(names[0], 5000); err != nil {
			t.Fatal(err)
		}
		failed := 0
		for k := range 2000 {
			e, err := s.Get(ctx, fmt.Sprint(k))
			switch {
			case err == nil && len(e.Value) == 500:
			case errors.Is(err, store.ErrCorrupt):
				failed++
			default:
				t.Fatalf("%s: key %d: %d bytes, %v", suffix, k, len(e.Value), err)
			}
		}
		if failed == 0 {
			t.Errorf("%s: no read noticed", suffix)
		}
		if _, err := s.Repair(ctx); err != nil && suffix == "*.idx" {
			t.Error(err)
		}
		_ = s.Close()
		r := openDir(t, dir, Options{OnError: func(error) {}})
		if _, err := r.Get(ctx, "1"); err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: after opening again: %v", suffix, err)
		}
	}
}

func TestOpenIsBounded(t *testing.T) {
	for name, data := range map[string][]byte{
		"kv/00000001.parquet":  []byte("PAR1PAR1"),
		"kv/00000002.parquet":  append(make([]byte, 740), []byte("\xff\xff\xff\x3fPAR1")...),
		"MANIFEST":             []byte(`{"format":1,"segments":[{"id":1,"rows":99999999999,"size":9999999999999}]}`),
		"journal/00000001.wal": []byte(strings.Repeat("\xff", 4096)),
	} {
		fsys := fsOf(t, map[string][]byte{name: data})
		before := allocated()
		s, err := Open("", &Options{fs: fsys})
		n := allocated() - before
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if n > 16<<20 {
			t.Errorf("%s: opening allocated %d bytes", name, n)
		}
		_ = s.Close()
	}
}

// FuzzManifest opens a store with a manifest whose checksum is right, whatever
// it says: it opens or not, and all it holds can be read, verified and repaired.
func FuzzManifest(f *testing.F) {
	files := images(f, damagedStore(f))
	line, _, _ := bytes.Cut(files[manifestName], []byte("\n"))
	f.Add(line)
	f.Add([]byte("{}"))
	m := newManifest()
	m.Segments = []manifestSeg{{Meta: segment.Meta{ID: 3, Rows: 5}, LostAt: 9}}
	line, _ = json.Marshal(m)
	f.Add(line)
	f.Fuzz(func(t *testing.T, line []byte) {
		if m, err := parseManifest(line); err == nil { // no fuzzer finds a checksum
			t.Fatalf("%+v has no checksum", m)
		}
		data := fmt.Appendf(slices.Clone(line), "\ncrc32c %08x\n", crc32.Checksum(line, castagnoli))
		if m, err := parseManifest(data); err == nil {
			again, err := m.encode()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parseManifest(again); err != nil {
				t.Fatal(err)
			}
		}
		image := maps.Clone(files)
		image[manifestName] = data
		s, err := Open("", &Options{fs: fsOf(t, image), CompactionRate: -1})
		if err != nil {
			return
		}
		for k := range damagedKeys {
			_, err := s.Get(ctx, fmt.Sprint("key:", k))
			if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrCorrupt) {
				t.Fatal(err)
			}
		}
		_, _ = s.Repair(ctx)
		_ = s.Close()
	})
}
