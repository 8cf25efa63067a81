package segment

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// escape marks texts that are not what they stand for. It cannot begin a key
// that is stored as it is.
const escape = "\uFFFD"

// keyText returns the form in which a key, or any other string, is stored in a
// column of type STRING: itself where it is UTF-8 without NUL, and otherwise the
// escape character and its bytes in hexadecimal.
func keyText(key string) string {
	if plain(key) {
		return key
	}
	return escape + hex.EncodeToString([]byte(key))
}

func plain(key string) bool {
	return utf8.ValidString(key) && !strings.HasPrefix(key, escape) && strings.IndexByte(key, 0) < 0
}

// keyOf is the inverse of keyText. ok is false for a text that keyText does not
// produce.
func keyOf(text []byte) (key string, ok bool) {
	s := string(text)
	rest, escaped := strings.CutPrefix(s, escape)
	if !escaped {
		return s, plain(s)
	}
	raw, err := hex.DecodeString(rest)
	return string(raw), err == nil && !plain(string(raw))
}

// hashTextPrefix begins the text of a tombstone whose key is not known, only its
// hash: it stands in the place of a row whose key was damaged, and hides what is
// older of that hash. keyText does not produce it.
const hashTextPrefix = escape + "#"

// HashText is the text of such a tombstone.
func HashText(h Hash) string { return fmt.Sprintf("%s%016x%08x", hashTextPrefix, h.Hi, h.Lo) }

// parseHashText is the inverse of HashText.
func parseHashText(text []byte) (h Hash, ok bool) {
	rest, ok := strings.CutPrefix(string(text), hashTextPrefix)
	if !ok || len(rest) != 24 {
		return h, false
	}
	hi, err1 := strconv.ParseUint(rest[:16], 16, 64)
	lo, err2 := strconv.ParseUint(rest[16:], 16, 32)
	return Hash{hi, uint32(lo)}, err1 == nil && err2 == nil
}

// isKey reports whether text is the stored form of key.
func isKey(text []byte, key string) bool {
	if string(text) == key {
		return !strings.HasPrefix(key, escape)
	}
	return !plain(key) && string(text) == keyText(key)
}

// tagsText returns tags as a JSON array of texts; the empty string for none.
func tagsText(tags []string) string {
	if len(tags) == 0 {
		return ""
	}
	texts := make([]string, len(tags))
	for i, t := range tags {
		texts[i] = keyText(t)
	}
	b, err := json.Marshal(texts)
	if err != nil {
		return ""
	}
	return string(b)
}

// tagsOf is the inverse of tagsText; nil for what is not a list.
func tagsOf(text []byte) []string {
	if len(text) == 0 {
		return nil
	}
	var tags []string
	if json.Unmarshal(text, &tags) != nil {
		return nil
	}
	for i, t := range tags {
		if key, ok := keyOf([]byte(t)); ok {
			tags[i] = key
		}
	}
	return tags
}

func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
