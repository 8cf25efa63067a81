package diskstore

import (
	"context"
	"errors"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/stratacache/strata/internal/journal"
	"github.com/stratacache/strata/store/diskstore/internal/segment"
)

// merger merges segments by a walk through all of them in the order of hashes.
type merger struct {
	s            *Store
	ctx          context.Context
	in           []*seg // newest first
	newer, older []*seg
	loading      bool // a Load may put rows before the inputs
	now          int64
	expired      uint64
	lost         int            // rows that failed their check
	dropped      []droppedTable // tables whose rows are not in the output
	pos          []uint64
	head         []segment.Hash
	loc          []segment.Loc
}

// opts returns the settings of the output, and the inputs' dead counts now.
func (mg *merger) opts() (o segment.WriterOptions, dead [][2]int64) {
	o = segment.WriterOptions{ID: mg.s.newID(), Seed: mg.s.seed, Now: mg.now, Throttle: mg.s.throttle(mg.ctx)}
	for i, g := range mg.in {
		o.Rows += int(g.Meta.Rows)
		o.MaxSeq = max(o.MaxSeq, g.Meta.MaxSeq)
		if i == 0 || g.Meta.MinSeq < o.MinSeq {
			o.MinSeq = g.Meta.MinSeq
		}
		dead = append(dead, [2]int64{g.deadRows.Load(), g.deadBytes.Load()})
	}
	return o, dead
}

// throttle returns a function that slows its callers to the budget: a segment
// and its index are finished by two goroutines.
func (s *Store) throttle(ctx context.Context) func(int) {
	rate := s.opts.CompactionRate
	if rate < 0 {
		return nil
	}
	start := time.Now()
	var total atomic.Int64 // a segment's two files are written side by side
	return func(n int) {
		ahead := time.Duration(float64(total.Add(int64(n)))/float64(rate)*float64(time.Second)) - time.Since(start)
		if ahead > 2*time.Millisecond {
			select {
			case <-time.After(ahead):
			case <-ctx.Done():
			}
		}
	}
}

func (mg *merger) run(ctx context.Context, w *segment.Writer) (err error) {
	defer func(old bool) {
		debug.SetPanicOnFault(old)
		if r := recover(); r != nil {
			err = faultError(r)
		}
	}(debug.SetPanicOnFault(true))
	n := len(mg.in)
	mg.pos, mg.head, mg.loc = make([]uint64, n), make([]segment.Hash, n), make([]segment.Loc, n)
	for i := range mg.in {
		if err := mg.advance(i, 0); err != nil {
			return err
		}
	}
	for count := 0; ; count++ {
		if count%256 == 0 {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			mg.measure()
		}
		first := -1
		for i, g := range mg.in {
			if mg.pos[i] < g.Rows() && (first < 0 || mg.head[i].Less(mg.head[first])) {
				first = i
			}
		}
		if first < 0 {
			return nil
		}
		if err := mg.hash(w, mg.head[first]); err != nil {
			return err
		}
	}
}

// measure tells how far the merge has come.
func (mg *merger) measure() {
	if mg.s.progress == nil {
		return
	}
	row, rows, bytes := uint64(0), uint64(0), int64(0)
	for i, g := range mg.in {
		row, rows, bytes = row+mg.pos[i], rows+g.Rows(), bytes+g.Meta.Bytes()
	}
	mg.s.progress.at(row, rows, bytes)
}

// advance moves input i to a row.
func (mg *merger) advance(i int, row uint64) (err error) {
	mg.pos[i] = row
	if row < mg.in[i].Rows() {
		mg.loc[i], mg.head[i], err = mg.in[i].Row(row)
	}
	return err
}

// hash writes the newest row of each key of a hash. Inputs come newest first, so
// that the first row of a key is the one that counts. Two keys of one hash are
// all but impossible, and kept apart.
func (mg *merger) hash(w *segment.Writer, h segment.Hash) error {
	var seen []string
	hidden := false // by a row that stands for all keys of the hash
	for i, g := range mg.in {
		for mg.pos[i] < g.Rows() && mg.head[i] == h {
			var it segment.Item
			err := g.Read(&mg.loc[i], &it)
			switch {
			case hidden || err == nil && slices.Contains(seen, string(it.Text)):
				if err == nil {
					mg.drop(&it)
				}
			case err != nil && !errors.Is(err, segment.ErrData):
				return err
			case err != nil || !g.KeyFits(&it, h):
				mg.lost++
				hidden = true
				err = mg.tombstone(w, segment.Row{Hash: h, Text: segment.HashText(h)})
			default:
				seen = append(seen, string(it.Text))
				hidden = it.HidesHash(h)
				err = mg.row(w, g, i, h, &it)
			}
			if err != nil && !errors.Is(err, segment.ErrData) {
				return err
			}
			if err := mg.advance(i, mg.pos[i]+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// row writes a row, or a tombstone in its place, or nothing.
func (mg *merger) row(w *segment.Writer, g *seg, i int, h segment.Hash, it *segment.Item) error {
	p := segment.NewProbe(h)
	if mg.superseded(&p) {
		mg.drop(it)
		return nil
	}
	row := segment.Row{
		Hash: h, Text: string(it.Text), Kind: it.Kind, Value: it.Value, Expires: it.Expires, Fresh: it.Fresh,
		Written: g.Written(&mg.loc[i]), Version: it.Version, Codec: it.Codec, TagsText: string(it.TagsText),
	}
	dead := it.Kind == segment.KindDeleted
	if !it.Check(it.Value) {
		// A tombstone in its place: what is older must not show.
		dead = true
		mg.lost++
	} else if !dead && it.Expires <= mg.now {
		dead = true
		mg.expired++
	}
	if dead {
		mg.drop(it)
		return mg.tombstone(w, row)
	}
	return w.Append(&row)
}

// tombstone writes a tombstone in the place of row, if it hides anything.
func (mg *merger) tombstone(w *segment.Writer, row segment.Row) error {
	p := segment.NewProbe(row.Hash)
	if !mg.hides(&p) {
		return nil
	}
	row.Kind, row.Value, row.TagsText = segment.KindDeleted, nil, ""
	row.Expires, row.Fresh = journal.Never, journal.Never
	return w.Append(&row)
}

// drop notes a row that will be gone, if it refers to a table file.
func (mg *merger) drop(it *segment.Item) {
	if it.Kind != segment.KindTable || !it.Check(it.Value) {
		return
	}
	key, ok1 := it.Key()
	if ref, ok2 := segment.ParseTableRef(it.Value); ok1 && ok2 {
		mg.dropped = append(mg.dropped, droppedTable{key, ref})
	}
}

// superseded reports whether a newer segment has a row of the key.
func (mg *merger) superseded(p *segment.Probe) bool {
	for _, g := range mg.newer {
		if may, err := g.MayHave(p); err != nil || !may {
			continue
		}
		if _, ok, err := g.Has(p.Hash); ok && err == nil {
			return true
		}
	}
	return false
}

// hides reports whether an older segment may have a row of the key.
func (mg *merger) hides(p *segment.Probe) bool {
	if mg.loading {
		return true
	}
	for _, g := range mg.older {
		if may, err := g.MayHave(p); err != nil || may {
			return true
		}
	}
	return false
}
