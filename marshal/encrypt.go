package marshal

import (
	"errors"
	"fmt"
)

// Encrypt encrypts what inner encodes with the ring's primary key. What it
// writes is
//
//	version 1 | length of the key id | key id | nonce (24) | ciphertext | tag (16)
//
// by XAES-256-GCM. The key that the value is stored under and inner's name are
// authenticated with it, so that a value moved to another key, or read by
// another codec, is an error. Append and Decode without a key are errors: use
// the package's functions.
func Encrypt[V any](inner Codec[V], ring *Keyring) (Codec[V], error) {
	if ring == nil {
		return nil, errors.New("marshal: encrypt: there is no key ring")
	}
	if len(inner.Name()) > 255 {
		return nil, errors.New("marshal: encrypt: the name of the inner codec is longer than 255 bytes")
	}
	return encrypted[V]{inner: inner, ring: ring, name: inner.Name() + EncryptSuffix}, nil
}

// EncryptSuffix ends the names of encrypting codecs.
const EncryptSuffix = "+aead"

const encryptVersion = 1

type encrypted[V any] struct {
	inner Codec[V]
	ring  *Keyring
	name  string
}

var _ KeyedCodec[int] = encrypted[int]{}

var errNeedsKey = errors.New("marshal: an encrypting codec needs the key that the value is stored under: use marshal.Append and marshal.Decode")

func (c encrypted[V]) Name() string { return c.name }

func (c encrypted[V]) Append(dst []byte, _ V) ([]byte, error) { return dst, errNeedsKey }

func (c encrypted[V]) Decode([]byte) (V, error) {
	var zero V
	return zero, errNeedsKey
}

// associated returns what is authenticated beside the value: the header, which
// delimits itself, the codec's name, which has a length before it, and the key.
func (c encrypted[V]) associated(header []byte, key string) []byte {
	name := c.inner.Name()
	ad := make([]byte, 0, len(header)+1+len(name)+len(key))
	ad = append(ad, header...)
	ad = append(ad, byte(len(name)))
	ad = append(ad, name...)
	return append(ad, key...)
}

func (c encrypted[V]) AppendKeyed(dst []byte, key string, v V) ([]byte, error) {
	s := getScratch()
	defer s.put()
	plain, err := Append(c.inner, s.b[:0], key, v)
	if err != nil {
		return dst, err
	}
	s.b = plain
	id := c.ring.primary
	header := append([]byte{encryptVersion, byte(len(id))}, id...)
	sealed, err := c.ring.keys[id].seal(append(dst, header...), plain, c.associated(header, key))
	if err != nil {
		return dst, fmt.Errorf("marshal: %s: %w", c.name, err)
	}
	return sealed, nil
}

func (c encrypted[V]) DecodeKeyed(key string, data []byte) (V, error) {
	plain, err := c.open(key, data)
	if err != nil {
		var zero V
		return zero, fmt.Errorf("marshal: %s: %w", c.name, err)
	}
	return Decode(c.inner, key, plain)
}

func (c encrypted[V]) open(key string, data []byte) ([]byte, error) {
	if len(data) < 2 || data[0] != encryptVersion || len(data) < 2+int(data[1]) {
		return nil, errors.New("not what an encrypting codec wrote")
	}
	header, sealed := data[:2+int(data[1])], data[2+int(data[1]):]
	id := string(header[2:])
	x := c.ring.keys[id]
	if x == nil {
		return nil, fmt.Errorf("the ring has no key %q", id)
	}
	return x.open(sealed, c.associated(header, key))
}
