package table

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/stratacache/strata/store"
)

// FileName is the name of every table file, in the directory of its key.
const FileName = "data.parquet"

// Names in the directory.
const (
	top      = "tables"
	fileName = FileName
)

// Limits of a path. A component stays below the 255 bytes that file systems
// allow, and a part's name leaves room for its value.
const (
	maxComponent = 240
	maxName      = 100
	maxParts     = 64
)

// Path returns the directory of the table file of a key, relative to the
// store's directory and with slashes: "tables/hist/symbol=AAPL/interval=1d".
//
// Bytes other than ASCII letters, digits, '-', '_' and '.' are percent-encoded,
// which DuckDB and others decode when they read the partition's value. Two keys
// never have the same path, even where the file system takes upper and lower
// case for the same: symbols are written as they are in upper case, numbers with
// a unit such as "1d" and names in lower case, and where the letters of a value
// deviate from that, one or more of them are encoded ("%61apl"). A value that is
// too long or not UTF-8 ends in '~' and a hash, and Unescape cannot give it back;
// the empty value is "~". SQL engines guess the type of a partition's values:
// where all of them look like numbers or dates, ask for text.
func Path(table string, parts []store.Part) (string, error) {
	if table == "" || len(parts) > maxParts {
		return "", fmt.Errorf("table of %q with %d parts: %w", table, len(parts), store.ErrInvalidKey)
	}
	var b strings.Builder
	b.WriteString(top)
	b.WriteByte('/')
	b.WriteString(unreserved(escape(table, false, maxComponent)))
	for _, p := range parts {
		name := escape(p.Name, false, maxName)
		value := escape(p.Value, !isNumberWithUnit(p.Value), maxComponent-len(name)-1)
		b.WriteByte('/')
		b.WriteString(unreserved(name + "=" + notNull(value)))
	}
	return b.String(), nil
}

// Unescape is the reverse of Path. ok is false for what Path does not return,
// and where a part was shortened.
func Unescape(rel string) (table string, parts []store.Part, ok bool) {
	comps := strings.Split(rel, "/")
	if len(comps) < 2 || comps[0] != top {
		return "", nil, false
	}
	if table, ok = unescape(comps[1]); !ok {
		return "", nil, false
	}
	for _, comp := range comps[2:] {
		n, v, found := strings.Cut(comp, "=")
		name, ok1 := unescape(n)
		value, ok2 := unescape(v)
		if !found || !ok1 || !ok2 {
			return "", nil, false
		}
		parts = append(parts, store.Part{Name: name, Value: value})
	}
	if again, err := Path(table, parts); err != nil || again != rel {
		return "", nil, false
	}
	return table, parts, true
}

// escape encodes s in at most limit bytes. upper tells which case of letters
// needs no encoding.
func escape(s string, upper bool, limit int) string {
	if s == "" {
		return "~"
	}
	if !utf8.ValidString(s) {
		return shorten("", s)
	}
	marked := caseMarks(s, upper)
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; isSafe(s, i) && !marked(c, i) {
			b.WriteByte(c)
		} else {
			writeEscape(&b, c)
		}
		if b.Len() > limit {
			return shorten(b.String()[:limit-hashLen-1], s)
		}
	}
	return b.String()
}

func writeEscape(b *strings.Builder, c byte) {
	const digits = "0123456789ABCDEF"
	b.WriteByte('%')
	b.WriteByte(digits[c>>4])
	b.WriteByte(digits[c&15])
}

// isSafe reports whether byte i of s can stand for itself. Windows drops dots at
// the end of a name, and names that begin with one are hidden.
func isSafe(s string, i int) bool {
	switch c := s[i]; {
	case isLetter(c), '0' <= c && c <= '9', c == '-', c == '_':
		return true
	case c == '.':
		return i > 0 && i < len(s)-1
	}
	return false
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// caseMarks returns which letters of s to encode, so that strings that differ
// in case only have encodings that differ otherwise. Letters of the expected
// case are left alone and the others encoded, but for one thing: where all
// letters have the other case, which is the most frequent deviation, encoding
// the first is enough. The string to which that would belong, with its first
// letter alone in the other case, has all of them encoded instead.
func caseMarks(s string, upper bool) func(c byte, i int) bool {
	letters, wrong, first := 0, 0, -1
	isWrong := func(c byte) bool { return isLetter(c) && (c < 'a') != upper }
	for i := range len(s) {
		if !isLetter(s[i]) {
			continue
		}
		if letters++; first < 0 {
			first = i
		}
		if isWrong(s[i]) {
			wrong++
		}
	}
	switch {
	case wrong == letters:
		return func(_ byte, i int) bool { return i == first }
	case wrong == 1 && isWrong(s[first]):
		return func(c byte, _ int) bool { return isLetter(c) }
	}
	return func(c byte, _ int) bool { return isWrong(c) }
}

// isNumberWithUnit reports whether s is like "1d", "15min" or "6MO": such values
// are customary in lower case. The answer does not depend on the case.
func isNumberWithUnit(s string) bool {
	unit := strings.TrimLeft(s, "0123456789")
	if unit == s || unit == "" || len(unit) > 3 {
		return false
	}
	for i := range len(unit) {
		if !isLetter(unit[i]) {
			return false
		}
	}
	return true
}

// hashLen is the length of a hash in a name: 128 bits in base 32.
const hashLen = 26

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// shorten returns prefix, without an escape cut in two, and the hash of s.
func shorten(prefix, s string) string {
	if i := strings.LastIndexByte(prefix, '%'); i >= 0 && i > len(prefix)-3 {
		prefix = prefix[:i]
	}
	sum := sha256.Sum256([]byte(s))
	return prefix + "~" + base32Lower.EncodeToString(sum[:16])
}

// unreserved encodes the first byte of a component that Windows takes for a
// device: what counts there is the name up to the first dot.
func unreserved(comp string) string {
	stem, _, _ := strings.Cut(comp, ".")
	if !isDevice(strings.ToUpper(stem)) {
		return comp
	}
	return escapeFirst(comp)
}

// notNull encodes the first byte of a value that SQL engines take for NULL.
func notNull(value string) string {
	if value == "NULL" || value == "__HIVE_DEFAULT_PARTITION__" {
		return escapeFirst(value)
	}
	return value
}

func escapeFirst(s string) string {
	var b strings.Builder
	writeEscape(&b, s[0])
	return b.String() + s[1:]
}

func isDevice(stem string) bool {
	switch stem {
	case "CON", "PRN", "AUX", "NUL":
		return true
	}
	if len(stem) != 4 || stem[3] < '0' || stem[3] > '9' {
		return false
	}
	return stem[:3] == "COM" || stem[:3] == "LPT"
}

// unescape decodes one component's name or value.
func unescape(s string) (string, bool) {
	if s == "~" {
		return "", true
	}
	if strings.IndexByte(s, '~') >= 0 || s == "" {
		return "", false
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		hi, lo := unhex(s[i+1]), unhex(s[i+2])
		if hi > 15 || lo > 15 {
			return "", false
		}
		b.WriteByte(hi<<4 | lo)
		i += 2
	}
	return b.String(), true
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// checkRel returns rel relative to the tables directory, for a path that has the
// form that Path gives it.
func checkRel(rel string) (string, error) {
	in, ok := strings.CutPrefix(rel, top+"/")
	if !ok || in == "" || path.Clean(in) != in || strings.HasPrefix(in, "../") || in == ".." || in == "." || strings.HasPrefix(in, "/") {
		return "", fmt.Errorf("%q is not the path of a table", rel)
	}
	return in, nil
}
