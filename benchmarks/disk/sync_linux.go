package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncDisk writes all that is dirty on the disk of dir.
func syncDisk(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(d.Fd())), d.Close())
}
