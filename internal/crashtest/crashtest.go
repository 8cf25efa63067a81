// Package crashtest checks what outlives a crash: a child process writes and says
// what was acknowledged, until it or its disk is ended; what was acknowledged must
// be there afterwards.
package crashtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stratacache/strata/store"
)

// Each of the child's writers changes keys of its own.
const (
	writers = 4
	keys    = 50
)

// Acked counts, for each writer, the operations that were acknowledged.
type Acked struct {
	n    [writers]int // certainly
	late [writers]int // those too that were acknowledged after the cut; 0: none
	cut  atomic.Bool
}

// Cut says that the disk is about to be shut down: what is acknowledged from now on may
// be lost. While ext4 is being shut down, an fsync may still say that it has done what it
// has not: that a transaction is neither running nor being committed means to it that it
// is on the disk, also where the journal was aborted amid the commit. (A machine without
// power acknowledges nothing.)
func (a *Acked) Cut() { a.cut.Store(true) }

// String is what the child's Write is given.
func (a *Acked) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(a.n), " ", ","), "[]")
}

// op is operation i of a writer: which of its keys it changes, and to what. An
// empty value deletes.
func op(writer, i int) (key, value string) {
	rng := rand.New(rand.NewPCG(uint64(writer), uint64(i)))
	key = fmt.Sprintf("w%d:%d", writer, rng.IntN(keys))
	if rng.IntN(4) == 0 {
		return key, ""
	}
	return key, fmt.Sprintf("%d:%s", i, strings.Repeat("x", rng.IntN(500)))
}

// Write is the child: it goes on from what String said, printing what write, for
// which an empty value deletes, has acknowledged. A writer ends with the first
// error, which failed is told at once; Write returns when all have ended.
func Write(from string, write func(key, value string) error, failed func(error)) {
	var wg sync.WaitGroup
	for w, first := range strings.Split(from, ",") {
		i, err := strconv.Atoi(first)
		if err != nil {
			failed(err)
			return
		}
		wg.Go(func() {
			for ; ; i++ {
				if err := write(op(w, i)); err != nil {
					failed(err)
					return
				}
				_, _ = os.Stdout.WriteString(fmt.Sprintf("%d %d\n", w, i))
			}
		})
	}
	wg.Wait()
}

// Fail prints err as Follow understands it, and ends the child.
func Fail(err error) {
	fmt.Println("failed", err)
	os.Exit(1)
}

// errNothing: the child ended before it wrote anything.
var errNothing = errors.New("the child acknowledged nothing")

// Follow reads what the child prints, until it has ended. It calls begun at the
// first acknowledgement.
func (a *Acked) Follow(out io.Reader, begun func()) error {
	err := errNothing
	for sc := bufio.NewScanner(out); sc.Scan(); {
		var w, i int
		switch n, _ := fmt.Sscanf(sc.Text(), "%d %d", &w, &i); {
		case n == 2:
			if a.cut.Load() {
				a.late[w] = i + 1
			} else {
				a.n[w] = i + 1
			}
			if errors.Is(err, errNothing) {
				err = nil
				begun()
			}
		case strings.HasPrefix(sc.Text(), "failed"):
			err = errors.New(sc.Text())
		}
	}
	return err
}

// Check returns where what is there differs from what was acknowledged. What a writer
// had under way, and what it had acknowledged after the cut, may have happened or not, in
// its order; what has counts as acknowledged from now on.
func (a *Acked) Check(read func(key string) (string, error)) (lost []string, err error) {
	for w := range writers {
		got := map[string]string{}
		for k := range keys {
			key := fmt.Sprintf("w%d:%d", w, k)
			value, rerr := read(key)
			if rerr != nil && !errors.Is(rerr, store.ErrNotFound) {
				err = errors.Join(err, rerr)
			}
			got[key] = value
		}
		want := map[string]string{}
		for i := range a.n[w] {
			key, value := op(w, i)
			want[key] = value
		}
		missing := differences(got, want)
		for n := a.n[w]; len(missing) > 0 && n <= max(a.n[w], a.late[w]); n++ {
			key, value := op(w, n)
			if want[key] = value; len(differences(got, want)) == 0 {
				a.n[w], missing = n+1, nil
			}
		}
		lost = append(lost, missing...)
	}
	a.late = [writers]int{}
	a.cut.Store(false)
	return lost, err
}

// differences says where got is not what was wanted.
func differences(got, want map[string]string) (all []string) {
	for key, value := range got {
		if value != want[key] {
			all = append(all, fmt.Sprintf("%s is %.20q, want %.20q", key, value, want[key]))
		}
	}
	slices.Sort(all)
	return all
}
