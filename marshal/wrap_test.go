package marshal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stratacache/strata/store"
)

func compressions(t testing.TB, opts *CompressOptions) []Codec[[]byte] {
	t.Helper()
	z, err := Zstd(Bytes[[]byte](), opts)
	if err != nil {
		t.Fatal(err)
	}
	s, err := S2(Bytes[[]byte](), opts)
	if err != nil {
		t.Fatal(err)
	}
	return []Codec[[]byte]{z, s}
}

func noise(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestCompress(t *testing.T) {
	for _, c := range compressions(t, nil) {
		for _, n := range []int{0, 1, 255, 256, 1000, 1 << 20} {
			roundTrip(t, c, bytes.Repeat([]byte("a"), n), "")
			roundTrip(t, c, noise(n), "")
		}
		size := func(v []byte) int {
			b, err := c.Append(nil, v)
			if err != nil {
				t.Fatal(err)
			}
			return len(b)
		}
		if n := size(make([]byte, 255)); n != 256 {
			t.Errorf("%s: 255 bytes, below the size, became %d", c.Name(), n)
		}
		if n := size(make([]byte, 10000)); n > 100 {
			t.Errorf("%s: 10000 zeros became %d bytes", c.Name(), n)
		}
		if n := size(noise(10000)); n != 10001 {
			t.Errorf("%s: 10000 bytes of noise became %d", c.Name(), n)
		}
		refuses(t, c, "", "\x02abc", "\x01", "\x01garbage", "\x01\xff\xff\xff\xff\xff")
		good, _ := c.Append(nil, make([]byte, 10000))
		refuses(t, c, string(good[:len(good)-1]), string(good)+"x")
	}
}

func TestCompressLimit(t *testing.T) {
	for _, c := range compressions(t, &CompressOptions{MaxDecoded: 1000, MinSize: 10, Level: 3}) {
		roundTrip(t, c, make([]byte, 1000), "")
		b, err := c.Append([]byte("p"), make([]byte, 1001))
		if !errors.Is(err, store.ErrTooLarge) || string(b) != "p" {
			t.Errorf("%s: Append of 1001 bytes = %q, %v", c.Name(), b, err)
		}
	}
	big, small := compressions(t, nil), compressions(t, &CompressOptions{MaxDecoded: 1000})
	for i := range big {
		b, err := big[i].Append(nil, make([]byte, 1<<20))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := small[i].Decode(b); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("%s: a bomb gives %v", small[i].Name(), err)
		}
	}
}

func TestCompressOptions(t *testing.T) {
	for want, o := range map[string]CompressOptions{
		"MinSize": {MinSize: -1}, "MaxDecoded": {MaxDecoded: -1}, "Level": {Level: 5}, "Dict": {Dict: []byte("no dictionary")},
	} {
		if _, err := Zstd(Bytes[[]byte](), &o); err == nil || !strings.Contains(err.Error(), "CompressOptions."+want) {
			t.Errorf("Zstd(%+v): %v", o, err)
		}
		if _, err := S2(Bytes[[]byte](), &o); err == nil || !strings.Contains(err.Error(), "CompressOptions."+want) && want != "Dict" {
			t.Errorf("S2(%+v): %v", o, err)
		}
	}
	for name, want := range map[string]string{"": "json", "zstd": "json+zstd", "s2": "json+s2"} {
		if c, err := Compressed(JSON[info](), name); err != nil || c.Name() != want {
			t.Errorf("Compressed(%q) = %v, %v", name, c, err)
		}
	}
	if _, err := Compressed(JSON[info](), "gzip"); err == nil || !strings.Contains(err.Error(), "there are: zstd, s2") {
		t.Errorf("Compressed(gzip): %v", err)
	}
}

// The vectors of c2sp.org/XAES-256-GCM.
func TestXAESVectors(t *testing.T) {
	for _, c := range []struct {
		key     byte
		ad, out string
	}{
		{1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		x, err := newXAES(bytes.Repeat([]byte{c.key}, 32))
		if err != nil {
			t.Fatal(err)
		}
		b, err := x.sealWith(nil, []byte("ABCDEFGHIJKLMNOPQRSTUVWX"), []byte("XAES-256-GCM"), []byte(c.ad))
		if err != nil || hex.EncodeToString(b[24:]) != c.out {
			t.Errorf("key %d: %x, %v; want %s", c.key, b[24:], err, c.out)
		}
		if p, err := x.open(b, []byte(c.ad)); err != nil || string(p) != "XAES-256-GCM" {
			t.Errorf("key %d: open = %q, %v", c.key, p, err)
		}
	}
}

func ring(t testing.TB, primary string, ids ...string) *Keyring {
	t.Helper()
	keys := make(map[string][]byte)
	for _, id := range ids {
		keys[id] = bytes.Repeat([]byte(id)[:1], 32)
	}
	r, err := NewKeyring(primary, keys)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func encryptedInfo(t testing.TB, r *Keyring) Codec[info] {
	t.Helper()
	z, err := Zstd(JSON[info](), nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Encrypt(z, r)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEncrypt(t *testing.T) {
	old := encryptedInfo(t, ring(t, "a", "a"))
	c := encryptedInfo(t, ring(t, "b", "a", "b"))
	v := info{Sector: strings.Repeat("secret", 100)}
	b, err := Append(old, []byte("prefix"), "info:AAPL", v)
	if err != nil {
		t.Fatal(err)
	}
	b = b[len("prefix"):]
	if bytes.Contains(b, []byte("secret")) {
		t.Error("the value is in the ciphertext")
	}
	again, _ := Append(old, nil, "info:AAPL", v)
	if bytes.Equal(b, again) {
		t.Error("a nonce was used twice")
	}
	for name, codec := range map[string]Codec[info]{"the same ring": old, "a rotated ring": c} {
		if got, err := Decode(codec, "info:AAPL", b); err != nil || got.Sector != v.Sector {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := Decode(c, "info:MSFT", b); err == nil {
		t.Error("a value moved to another key was accepted")
	}
	fresh, _ := Append(c, nil, "info:AAPL", v)
	if _, err := Decode(old, "info:AAPL", fresh); err == nil || !strings.Contains(err.Error(), `no key "b"`) {
		t.Errorf("an unknown key: %v", err)
	}
	plain, err := Encrypt(JSON[info](), ring(t, "a", "a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(plain, "info:AAPL", b); err == nil {
		t.Error("a value of another codec was accepted")
	}
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 1
		if _, err := Decode(old, "info:AAPL", bad); err == nil {
			t.Errorf("byte %d flipped, and accepted", i)
		}
		if _, err := Decode(old, "info:AAPL", b[:i]); err == nil {
			t.Errorf("cut to %d bytes, and accepted", i)
		}
	}
}

func TestEncryptNeedsKey(t *testing.T) {
	c := encryptedInfo(t, ring(t, "a", "a"))
	if b, err := c.Append([]byte("p"), info{}); !errors.Is(err, errNeedsKey) || string(b) != "p" {
		t.Errorf("Append without a key: %q, %v", b, err)
	}
	if _, err := c.Decode([]byte("x")); !errors.Is(err, errNeedsKey) {
		t.Errorf("Decode without a key: %v", err)
	}
	z, err := Zstd(c, nil) // the wrong way round, but the key must still arrive
	if err != nil {
		t.Fatal(err)
	}
	b, err := Append(z, nil, "k", info{Sector: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := Decode(z, "k", b); err != nil || v.Sector != "x" {
		t.Errorf("Decode = %v, %v", v, err)
	}
	if _, err := Encrypt(JSON[info](), nil); err == nil {
		t.Error("no ring, no error")
	}
}

func TestKeyring(t *testing.T) {
	k := make([]byte, 32)
	for want, f := range map[string]func() (*Keyring, error){
		"has 16":             func() (*Keyring, error) { return NewKeyring("a", map[string][]byte{"a": k[:16]}) },
		"not in the ring":    func() (*Keyring, error) { return NewKeyring("b", map[string][]byte{"a": k}) },
		"must have 1 to 255": func() (*Keyring, error) { return NewKeyring("", map[string][]byte{"": k}) },
	} {
		if _, err := f(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	r := ring(t, "m", "x", "m", "c")
	var buf bytes.Buffer
	slog.New(slog.NewTextHandler(&buf, nil)).Info("m", "ring", r)
	for _, s := range []string{fmt.Sprint(r), fmt.Sprintf("%+v", r), fmt.Sprintf("%#v", r), buf.String()} {
		if !strings.Contains(s, `"m" "c" "x"`) && !strings.Contains(s, `\"m\" \"c\" \"x\"`) || len(s) > 120 {
			t.Errorf("the ring prints as %s", s)
		}
	}
}
