package marshal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
)

// xaes is XAES-256-GCM as specified at c2sp.org/XAES-256-GCM: AES-256-GCM under
// a key that is derived for every message from half of a 192-bit nonce. Random
// nonces are safe for any number of values that a cache will ever write, where
// those of plain GCM wear out after 2^32.
type xaes struct {
	block cipher.Block
	k1    [aes.BlockSize]byte
}

const (
	xaesKeySize   = 32
	xaesNonceSize = 24
	gcmNonceSize  = 12
	gcmTagSize    = 16
)

var errXAES = errors.New("the data was modified, or written under another key")

func newXAES(key []byte) (*xaes, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	x := &xaes{block: block}
	block.Encrypt(x.k1[:], x.k1[:])
	var msb byte
	for i := len(x.k1) - 1; i >= 0; i-- {
		msb, x.k1[i] = x.k1[i]>>7, x.k1[i]<<1|msb
	}
	x.k1[len(x.k1)-1] ^= msb * 0x87
	return x, nil
}

// derive returns the AEAD of the messages whose nonce begins with these bytes.
func (x *xaes) derive(nonce []byte) (cipher.AEAD, error) {
	var key [2 * aes.BlockSize]byte
	for half := range 2 {
		k := key[half*aes.BlockSize:][:aes.BlockSize]
		copy(k, []byte{0, byte(half + 1), 'X', 0})
		copy(k[4:], nonce[:12])
		for i := range k {
			k[i] ^= x.k1[i]
		}
		x.block.Encrypt(k, k)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal appends a random nonce and the ciphertext of src to dst.
func (x *xaes) seal(dst, src, ad []byte) ([]byte, error) {
	var nonce [xaesNonceSize]byte
	_, _ = rand.Read(nonce[:]) // documented never to fail
	return x.sealWith(dst, nonce[:], src, ad)
}

func (x *xaes) sealWith(dst, nonce, src, ad []byte) ([]byte, error) {
	a, err := x.derive(nonce)
	if err != nil {
		return dst, err
	}
	return a.Seal(append(dst, nonce...), nonce[xaesNonceSize-gcmNonceSize:], src, ad), nil
}

// open is the inverse of seal.
func (x *xaes) open(data, ad []byte) ([]byte, error) {
	if len(data) < xaesNonceSize+gcmTagSize {
		return nil, errXAES
	}
	nonce, data := data[:xaesNonceSize], data[xaesNonceSize:]
	a, err := x.derive(nonce)
	if err != nil {
		return nil, err
	}
	out, err := a.Open(nil, nonce[xaesNonceSize-gcmNonceSize:], data, ad)
	if err != nil {
		return nil, errXAES
	}
	return out, nil
}
