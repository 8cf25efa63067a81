package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Report says what a replay found.
type Report struct {
	Files   int
	Records int
	Bytes   int64  // of the records
	Last    uint64 // sequence of the last record; 0: none
	Damage  []Damage
}

// Damage is a place where the replay of a file ended before its time.
type Damage struct {
	File   string
	Offset int64
	Reason string
	// Lost is how many intact records follow the place and were dropped. A
	// crash leaves at most records there that were never acknowledged as
	// synced; anything else means that the file was damaged later.
	Lost int
}

func (d Damage) String() string {
	return fmt.Sprintf("%s at %d: %s, %d records after it dropped", d.File, d.Offset, d.Reason, d.Lost)
}

// Replay calls fn for every record, file by file, each up to its last valid
// record. Payloads stay valid, and keep a file's worth of memory, for as long as
// they are referenced. It must be called before the first append, once; an
// error of fn ends it.
func (j *Journal) Replay(fn func(Record) error) (rep Report, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.replayed {
		return rep, errors.New("journal: replayed twice")
	}
	j.replayed = true
	if errors.Is(j.err, errReplayFirst) {
		defer func() {
			if err == nil {
				j.err = nil
			}
		}()
	}
	for i := range j.files {
		f := &j.files[i]
		data, err := j.readFile(f.num)
		if errors.Is(err, fs.ErrNotExist) && j.opts.ReadOnly {
			continue // the writer dropped it meanwhile
		}
		if err != nil {
			return rep, err
		}
		rep.Files++
		f.first = max(rep.Last+1, j.next)
		if err := j.replayFile(f, data, &rep, fn); err != nil {
			return rep, err
		}
		j.next = max(j.next, rep.Last+1)
	}
	return rep, nil
}

func (j *Journal) readFile(num uint64) ([]byte, error) {
	f, err := j.fs.Open(j.name(num))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	data := make([]byte, size)
	n, err := f.ReadAt(data, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return data[:n], err
}

func (j *Journal) replayFile(f *file, data []byte, rep *Report, fn func(Record) error) error {
	hd, version, ok := parseHead(data)
	if version > formatVersion {
		return fmt.Errorf("%w: %s has version %d, this is %d", ErrVersion, j.name(f.num), version, formatVersion)
	}
	if !ok || hd.num != f.num {
		// A crash can catch a file before its header is on the disk: new, it is
		// then zero, and one used before shows its former number.
		if !ok && len(bytes.Trim(data[:min(len(data), fileHeader)], "\x00")) > 0 {
			rep.Damage = append(rep.Damage, Damage{File: j.name(f.num), Reason: "bad header"})
		}
		return nil
	}
	f.first = hd.first
	epoch, off, want := hd.epoch, fileHeader, hd.first
	for {
		r, size, ok := parseRecord(data[off:], epoch)
		if !ok || r.Seq != want {
			break
		}
		if err := fn(r); err != nil {
			return err
		}
		off += size
		want++
		rep.Records++
		rep.Bytes += int64(size)
		rep.Last = max(rep.Last, r.Seq)
	}
	// Even where nothing could be read, later records have later sequences.
	rep.Last = max(rep.Last, hd.first-1)
	if d, bad := ending(data[off:], epoch, want); bad {
		d.File, d.Offset = j.name(f.num), int64(off)
		rep.Damage = append(rep.Damage, d)
	}
	return nil
}

// ending judges what follows the last valid record: zeros or an earlier use of
// the file are a clean end.
func ending(rest []byte, epoch, want uint64) (Damage, bool) {
	lost := countRecords(rest, epoch, want)
	torn := len(rest) >= recordHeader && binary.LittleEndian.Uint64(rest[offEpoch:]) == epoch ||
		len(rest) > 0 && len(rest) < recordHeader && len(bytes.Trim(rest, "\x00")) > 0
	switch {
	case lost > 0:
		return Damage{Reason: "damaged record", Lost: lost}, true
	case torn:
		return Damage{Reason: "torn record"}, true
	}
	return Damage{}, false
}

// countRecords counts the intact records of the epoch, from sequence min on,
// anywhere in data. The work is bounded by a multiple of len(data), whatever
// lengths the data claims.
func countRecords(data []byte, epoch, min uint64) int {
	var pattern [8]byte
	binary.LittleEndian.PutUint64(pattern[:], epoch)
	n, budget := 0, 4*len(data)+1024
	for at := 0; budget > 0; {
		i := bytes.Index(data[at:], pattern[:])
		if i < 0 {
			break
		}
		start := at + i - offEpoch
		at += i + 1
		if start < 0 || len(data)-start < recordHeader {
			continue
		}
		if n := int64(binary.LittleEndian.Uint32(data[start+offLen:])); n <= int64(len(data)-start) {
			budget -= int(n)
		}
		if r, size, ok := parseRecord(data[start:], epoch); ok && r.Seq >= min {
			n++
			at = start + size
		}
	}
	return n
}
