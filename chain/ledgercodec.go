package chain

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/stratacache/strata/internal/journal"
	"github.com/stratacache/strata/store"
)

// The kinds of records in the journal. docs/decisions/083 has the format.
const (
	opRecord   = 1 // an operation, and the tiers that are to take it
	ackRecord  = 2 // a tier has taken operations, or later ones of their keys
	voidRecord = 3 // operations that were given up before anybody saw them
	// clockRecord has the latest version of the process: what is stamped in the next
	// run must be newer, also than what the tiers have taken and the journal forgot.
	clockRecord = 4
)

const flagDeleted = 1

var errRecord = errors.New("strata: malformed record")

// logged is an operation as the journal holds it.
type logged struct {
	key     string
	entry   store.Entry
	deleted bool
	at      int64 // when it was made, Unix nanoseconds
	tiers   []string
}

// journalable returns an error where the journal's format cannot hold e.
func journalable(key string, e *store.Entry) error {
	if len(key) > journal.MaxKey || len(e.Codec) > journal.MaxCodec || len(e.Tags) > journal.MaxTags {
		return store.ErrTooLarge
	}
	for _, tag := range e.Tags {
		if len(tag) > journal.MaxTags {
			return store.ErrTooLarge
		}
	}
	return nil
}

// appendOp appends the encoding of l, all but the value, which follows.
func appendOp(dst []byte, l *logged) []byte {
	var flags byte
	if l.deleted {
		flags = flagDeleted
	}
	dst = append(dst, flags)
	dst = appendStrings(dst, l.tiers)
	return journal.AppendEntry(dst, l.key, &l.entry, l.at/1000)
}

// parseOp decodes what appendOp and a value make. The value aliases p.
func parseOp(p []byte) (l logged, err error) {
	if len(p) == 0 || p[0]&^flagDeleted != 0 {
		return l, errRecord
	}
	l.deleted = p[0] == flagDeleted
	if l.tiers, p, err = parseStrings(p[1:]); err != nil {
		return l, err
	}
	var micros int64
	l.key, l.entry, micros, err = journal.ParseEntry(p)
	if err != nil || l.key == "" || l.entry.Version == 0 || len(l.tiers) == 0 || micros != micros*1000/1000 {
		return l, errRecord
	}
	l.at = micros * 1000
	return l, nil
}

// appendAck appends the encoding of "tier has taken seqs", which it sorts.
func appendAck(dst []byte, tier string, seqs []uint64) []byte {
	slices.Sort(seqs)
	dst = appendStrings(dst, []string{tier})
	last := uint64(0)
	for _, seq := range seqs {
		dst = binary.AppendUvarint(dst, seq-last)
		last = seq
	}
	return dst
}

func parseAck(p []byte) (tier string, seqs []uint64, err error) {
	names, p, err := parseStrings(p)
	if err != nil || len(names) != 1 {
		return "", nil, errRecord
	}
	last := uint64(0)
	for len(p) > 0 {
		d, n := binary.Uvarint(p)
		if n <= 0 {
			return "", nil, errRecord
		}
		last += d
		seqs, p = append(seqs, last), p[n:]
	}
	return names[0], seqs, nil
}

func parseClock(p []byte) (version uint64, err error) {
	version, n := binary.Uvarint(p)
	if n <= 0 || n != len(p) {
		return 0, errRecord
	}
	return version, nil
}

func appendStrings(dst []byte, list []string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, s := range list {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	return dst
}

func parseStrings(p []byte) (list []string, rest []byte, err error) {
	count, n := binary.Uvarint(p)
	if n <= 0 || count > uint64(len(p)) { // each takes a byte at least
		return nil, nil, errRecord
	}
	p = p[n:]
	for range count {
		size, n := binary.Uvarint(p)
		if n <= 0 || size > uint64(len(p)-n) {
			return nil, nil, errRecord
		}
		list = append(list, string(p[n:n+int(size)]))
		p = p[n+int(size):]
	}
	return list, p, nil
}
