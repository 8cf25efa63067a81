package marshal

import (
	"fmt"
	"log/slog"
	"sort"
)

// Keyring is a set of named keys for Encrypt: one to write with, and all to
// read with. To rotate, add a key, make it the primary one, and drop the old
// one when what was written under it has expired. A Keyring is immutable and
// safe for concurrent use, and prints as the names of its keys only.
type Keyring struct {
	primary string
	keys    map[string]*xaes
}

// NewKeyring makes a ring of 32-byte keys by id, of which primary encrypts. Ids
// are stored in clear with every value: 1 to 255 bytes, no secrets.
func NewKeyring(primary string, keys map[string][]byte) (*Keyring, error) {
	r := &Keyring{primary: primary, keys: make(map[string]*xaes, len(keys))}
	for id, key := range keys {
		if id == "" || len(id) > 255 {
			return nil, fmt.Errorf("marshal: key id %q: must have 1 to 255 bytes", id)
		}
		if len(key) != xaesKeySize {
			return nil, fmt.Errorf("marshal: key %q: must have %d bytes, has %d", id, xaesKeySize, len(key))
		}
		x, err := newXAES(key)
		if err != nil {
			return nil, fmt.Errorf("marshal: key %q: %w", id, err)
		}
		r.keys[id] = x
	}
	if r.keys[primary] == nil {
		return nil, fmt.Errorf("marshal: the primary key %q is not in the ring", primary)
	}
	return r, nil
}

// IDs returns the ids of the keys, the primary one first.
func (r *Keyring) IDs() []string {
	ids := make([]string, 0, len(r.keys))
	for id := range r.keys {
		if id != r.primary {
			ids = append(ids, id)
		}
	}
	sort.Strings(ids)
	return append([]string{r.primary}, ids...)
}

// String implements fmt.Stringer without the keys.
func (r *Keyring) String() string { return fmt.Sprintf("keyring%q", r.IDs()) }

// GoString implements fmt.GoStringer without the keys.
func (r *Keyring) GoString() string { return r.String() }

// LogValue implements slog.LogValuer without the keys.
func (r *Keyring) LogValue() slog.Value { return slog.StringValue(r.String()) }
