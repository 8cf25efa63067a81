//go:build linux

package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/stratacache/strata/chain"
	"github.com/stratacache/strata/internal/crashtest"
	"github.com/stratacache/strata/policy"
	"github.com/stratacache/strata/store"
	"github.com/stratacache/strata/store/diskstore"
)

// Settings of the child of TestPowerLoss.
const (
	powerDir  = "STRATA_POWER_DIR"
	powerMode = "STRATA_POWER_MODE"
	powerFrom = "STRATA_POWER_FROM"
)

// powered is what the child writes to and the parent looks into: the two promises
// that a synced write outlives the machine.
type powered interface {
	write(ctx context.Context, key, value string) error // an empty value deletes
	read(ctx context.Context, key string) (string, error)
	close(ctx context.Context) error
}

// openPowered opens the disk tier with a sync for each write ("disk") or with none
// ("careless"), or a chain whose rule is durable and whose disk tier syncs nothing
// by itself for a long time ("chain").
func openPowered(mode, dir string) (powered, error) {
	opts := &diskstore.Options{SegmentSize: 64 << 10, CompactionRate: -1}
	if mode != "chain" {
		opts.Sync = diskstore.SyncAlways
		if mode == "careless" {
			opts.Sync = diskstore.SyncNever
		}
		s, err := diskstore.Open(filepath.Join(dir, "disk"), opts)
		return poweredStore{s}, err
	}
	opts.Interval = time.Hour
	s, err := diskstore.Open(filepath.Join(dir, "disk"), opts)
	if err != nil {
		return nil, err
	}
	rules, err := policy.Parse([]byte("rules: [{name: all, keys: '{writer}:{id}', ttl: 24h, write: back, durable: true}]"))
	if err != nil {
		return nil, err
	}
	c, err := chain.New([]chain.Tier{{Name: "disk", Store: s}}, rules, &chain.Options{Pending: chain.PendingOptions{
		Journal: filepath.Join(dir, "journal"), JournalFile: 256 << 10, Interval: 2 * time.Millisecond,
	}})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return poweredChain{chain.NewCache[string](c, nil)}, nil
}

type poweredStore struct{ s *diskstore.Store }

func (p poweredStore) write(ctx context.Context, key, value string) error {
	if value == "" {
		return p.s.Delete(ctx, key)
	}
	return p.s.Set(ctx, key, store.Entry{Value: []byte(value)})
}

func (p poweredStore) read(ctx context.Context, key string) (string, error) {
	e, err := p.s.Get(ctx, key)
	return string(e.Value), err
}

func (p poweredStore) close(context.Context) error { return p.s.Close() }

type poweredChain struct{ c *chain.Cache[string] }

func (p poweredChain) write(ctx context.Context, key, value string) error {
	if value == "" {
		return p.c.Delete(ctx, key)
	}
	return p.c.Set(ctx, key, value)
}

func (p poweredChain) read(ctx context.Context, key string) (string, error) { return p.c.Get(ctx, key) }
func (p poweredChain) close(ctx context.Context) error                      { return p.c.Chain().Close(ctx) }

// TestPowerChild writes, and says what was acknowledged, until the power is cut.
func TestPowerChild(t *testing.T) {
	dir := os.Getenv(powerDir)
	if dir == "" {
		t.Skip("run by TestPowerLoss")
	}
	p, err := openPowered(os.Getenv(powerMode), dir)
	if err != nil {
		crashtest.Fail(err)
	}
	crashtest.Write(os.Getenv(powerFrom), func(key, value string) error {
		return p.write(context.Background(), key, value)
	}, func(error) {}) // the disk is gone
	os.Exit(0)
}

// TestPowerLoss cuts the power of a disk: an ext4 file system on a loop device is
// shut down without flushing its journal, as in a crash of the machine, while a
// process writes to it. What was acknowledged as synced is there after the next
// mount, and no acknowledged delete is undone. It needs root and loop devices.
func TestPowerLoss(t *testing.T) {
	if testing.Short() {
		t.Skip("mounts a file system")
	}
	rounds := 3
	if os.Getenv("STRATA_TORTURE") != "" {
		rounds = 50
	}
	for _, mode := range []string{"disk", "chain"} {
		t.Run(mode, func(t *testing.T) {
			image := makeImage(t)
			var acked crashtest.Acked
			for round := range rounds {
				cutPower(t, image, mode, &acked)
				if lost := checkPower(t, image, mode, &acked); len(lost) > 0 {
					t.Fatalf("round %d: %v", round, lost)
				}
			}
			t.Logf("%d rounds, operations of each writer: %s", rounds, acked.String())
		})
	}
}

// TestPowerLossIsFelt shows that TestPowerLoss would notice: a store that does
// not sync loses what it acknowledged.
func TestPowerLossIsFelt(t *testing.T) {
	if testing.Short() {
		t.Skip("mounts a file system")
	}
	image := makeImage(t)
	for round := range 10 {
		var acked crashtest.Acked
		cutPower(t, image, "careless", &acked)
		if lost := checkPower(t, image, "careless", &acked); len(lost) > 0 {
			t.Logf("round %d: %d keys lost, as they must be", round, len(lost))
			return
		}
	}
	t.Error("ten power failures lost nothing of a store that does not sync: the test does not cut the power")
}

// makeImage returns a file with an empty ext4 file system.
func makeImage(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a file system")
	}
	base := t.TempDir()
	if dir, err := os.MkdirTemp("/dev/shm", "strata-power"); err == nil { // syncs cost less there, so that there are more of them
		base = dir
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
	}
	image := filepath.Join(base, "disk.img")
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(256<<20), f.Close()); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", image).CombinedOutput(); err != nil {
		t.Skipf("needs mkfs.ext4: %v %s", err, out)
	}
	unmount := mount(t, image)
	unmount()
	return image
}

// mount mounts the image, or skips the test where that is not allowed.
func mount(t *testing.T, image string) (unmount func()) {
	t.Helper()
	dir := image + ".mnt"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		t.Skipf("cannot mount a loop device here: %v %s", err, out)
	}
	done := false
	unmount = func() {
		if done {
			return
		}
		done = true
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	}
	t.Cleanup(unmount)
	return unmount
}

// cutPower runs the child on the mounted image for a moment, and then shuts the
// file system down under it.
func cutPower(t *testing.T, image, mode string, acked *crashtest.Acked) {
	t.Helper()
	unmount := mount(t, image)
	defer unmount()
	dir := image + ".mnt"
	cmd := exec.Command(os.Args[0], "-test.run=^TestPowerChild$")
	cmd.Env = append(os.Environ(), powerDir+"="+dir, powerMode+"="+mode,
		powerFrom+"="+acked.String())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cut := make(chan error, 1)
	err = acked.Follow(out, func() {
		time.AfterFunc(time.Duration(30+rand.IntN(200))*time.Millisecond, func() {
			acked.Cut()
			cut <- shutDown(dir)
			_ = cmd.Process.Kill()
		})
	})
	_ = cmd.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if err := <-cut; err != nil {
		t.Fatal(err)
	}
}

// shutDown ends an ext4 file system as a power failure would: EXT4_IOC_SHUTDOWN
// with EXT4_GOING_FLAGS_NOLOGFLUSH.
func shutDown(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	flags := uint32(2)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), 0x8004587d, uintptr(unsafe.Pointer(&flags))); errno != 0 {
		return fmt.Errorf("shutting the file system down: %w", errno)
	}
	return nil
}

// checkPower mounts the image anew and returns what was lost.
func checkPower(t *testing.T, image, mode string, acked *crashtest.Acked) (lost []string) {
	t.Helper()
	unmount := mount(t, image)
	defer unmount()
	ctx := context.Background()
	p, err := openPowered(mode, image+".mnt")
	if err != nil {
		t.Fatal(err)
	}
	lost, err = acked.Check(func(key string) (string, error) { return p.read(ctx, key) })
	if err := errors.Join(err, p.close(ctx)); err != nil {
		t.Error(err)
	}
	return lost
}
