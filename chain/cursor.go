package chain

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/stratacache/strata/store"
)

// reserved begins the keys that the chain keeps for itself.
const reserved = "__strata:"

// cursorKey is where the chain keeps, in the tiers that are not shared, how far
// it has followed the feed. What such a tier holds is as old as that.
const cursorKey = reserved + "cursor"

// cursorEvery is how often the cursor is saved. What lies between is followed
// again, which does no harm.
const cursorEvery = 2 * time.Second

// private returns the tiers that are not shared and outlive the process.
func (c *Chain) private() []*tier {
	var ts []*tier
	for _, t := range c.bytes {
		if !t.Shared {
			ts = append(ts, t)
		}
	}
	return ts
}

// cursorNote is the file beside the journal of pending writes that holds the
// cursor, for processes that keep nothing else.
const cursorNote = "feed"

// loadCursor returns where to follow on from; empty where nothing was kept. Where a
// private tier cannot say how old it is, all that they hold is suspect.
func (c *Chain) loadCursor(ctx context.Context) string {
	private := c.private()
	cursor := ""
	for i, t := range private {
		e, err := t.Store.Get(ctx, cursorKey)
		if err != nil || i > 0 && string(e.Value) != cursor {
			c.suspect()
			cursor, private = "", nil
			break
		}
		cursor = string(e.Value)
	}
	if len(private) > 0 || c.ledger == nil {
		return cursor
	}
	note, err := c.ledger.j.ReadNote(cursorNote)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.report(journalError("read", "", err))
	}
	return string(note)
}

func (c *Chain) saveCursor(ctx context.Context, cursor string) {
	for _, t := range c.private() {
		err := t.call(ctx, &t.writes, func(ctx context.Context) error {
			return t.Store.Set(ctx, cursorKey, store.Entry{Value: []byte(cursor), Version: c.hlc.Next()})
		})
		if err != nil {
			c.report(tierError("set", t.Name, cursorKey, err))
		}
	}
	if c.ledger != nil {
		if err := c.ledger.j.WriteNote(cursorNote, []byte(cursor)); err != nil {
			c.report(journalError("write", "", err))
		}
	}
}
