package journal

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/stratacache/strata/internal/vfs"
)

// A note is replaced as a whole, or stays as it was where it cannot be written.
func TestNote(t *testing.T) {
	broken := false
	disk := vfs.Faulty(vfs.Mem(), func(c vfs.Call) error {
		if broken && (c.Op == vfs.OpWrite || c.Op == vfs.OpRename) && strings.HasPrefix(c.Name, "j/note") {
			return errors.New("no space")
		}
		return nil
	})
	j, err := Open("j", &Options{FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if _, err := j.ReadNote("note"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadNote of none: %v", err)
	}
	for _, text := range []string{"12-0", "", "a longer one", "1"} {
		if err := j.WriteNote("note", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := j.ReadNote("note"); string(got) != text || err != nil {
			t.Errorf("ReadNote = %q, %v; want %q", got, err, text)
		}
	}
	broken = true
	if err := j.WriteNote("note", []byte("2")); err == nil {
		t.Error("WriteNote onto a full disk succeeds")
	}
	if got, err := j.ReadNote("note"); string(got) != "1" || err != nil {
		t.Errorf("ReadNote = %q, %v after a failed write; want what was there", got, err)
	}
}
