package disk

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// skip leaves out engines that nobody asked for, and what would take one minutes
// and tells nothing.
func skip(n, keys int) bool {
	return engines[n].name == "files" && keys > 200_000 || !chosen("STRATA_BENCH_ENGINES", engines[n].name)
}

// title names what was done to how much.
func title(what string, keys, size int) string {
	return fmt.Sprintf("%s, %d B, %d keys", what, size, keys)
}

// fill loads an engine.
func fill(t testing.TB, n int, e engine, keys, size int, vals *values) {
	t.Helper()
	var kb [keyLen]byte
	err := e.load(keys, func(i int) []byte { return keyOf(kb[:], i) }, func(i int) []byte { return vals.at(i, size) })
	if err != nil {
		t.Fatal(engines[n].name, err)
	}
}

// loads fills empty stores, and opens them again.
func loads(t testing.TB, keys, size, rounds int) []string {
	load, cpu := newResult(title("bulk load per key", keys, size)), newResult(title("bulk load per key, processor time", keys, size))
	opening := newResult(title("open", keys, size))
	space := newShare(title("bytes on the disk / bytes of keys and values", keys, size))
	vals, dir := newValues(size), baseDir(t)
	for r := range rounds {
		for k := range engines {
			n := (k + r) % len(engines) // whoever comes first finds the disk in another mood
			if skip(n, keys) || engines[n].name == "files" && r > 0 {
				continue
			}
			d := filepath.Join(dir, fmt.Sprint(engines[n].name, r))
			e := openAt(t, n, d, settings{})
			start, used := time.Now(), processTime()
			fill(t, n, e, keys, size, vals)
			load.add(n, time.Since(start)/time.Duration(keys))
			cpu.add(n, (processTime()-used)/time.Duration(keys))
			if err := e.flush(); err != nil {
				t.Fatal(engines[n].name, err)
			}
			if err := e.close(); err != nil {
				t.Fatal(engines[n].name, err)
			}
			space.values[n] = append(space.values[n], float64(dirSize(d))/float64(keys*(size+keyLen)))
			if engines[n].name != "files" { // opening a directory tells nothing
				start = time.Now()
				e = openAt(t, n, d, settings{})
				opening.add(n, time.Since(start))
				if err := e.close(); err != nil {
					t.Fatal(engines[n].name, err)
				}
			}
			os.RemoveAll(d)
		}
	}
	return lines(load, cpu, opening, space)
}

// dirSize is what the files of dir take on the disk, in whole blocks. Where the
// system does not tell, it is their length.
func dirSize(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if fi, err := d.Info(); err == nil {
			n += onDisk(fi)
		}
		return nil
	})
	return n
}
