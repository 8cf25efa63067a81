package store

import "context"

// Feed tells the chains of several processes that share a tier of each other's
// writes. redisstore has one on a Redis Stream. It is safe for concurrent use, and
// its owner closes what is below it.
type Feed interface {
	// Publish announces changes, in order, once the shared tier has them. It is
	// called by one goroutine at a time and tried again when it fails.
	Publish(ctx context.Context, changes []Change) error
	// Follow calls f, in order, with what other processes published after the
	// cursor, until ctx ends or the connection fails; it is called again after a
	// failure. An empty cursor means from now on. The first call of f comes as
	// soon as the position is known, without changes if there are none, and so do
	// others every few seconds: a process that hears nothing does not know that there
	// is nothing; see News.Behind. What this process published itself is left out.
	Follow(ctx context.Context, cursor string, f func(News)) error
}

// Change is one write that other processes must know of.
type Change struct {
	Kind    ChangeKind
	Key     string // or the tag; empty for ChangeClear and ChangeUnknown
	Version uint64 // 0 for ChangeTouch, which nobody stamped
}

// ChangeKind says what a Change did.
type ChangeKind byte

// The kinds of changes. Their values are part of the format of feeds.
const (
	ChangeWrite   ChangeKind = 'w' // a key was set or deleted
	ChangeTag     ChangeKind = 't' // a tag was invalidated
	ChangeClear   ChangeKind = 'c' // all was cleared
	ChangeUnknown ChangeKind = '?' // the publisher lost count: anything may have changed
	// ChangeLost says that the shared tier has lost the write of a key that has the
	// version, and gives what was before it. Who still holds the write keeps it.
	ChangeLost ChangeKind = 'l'
	// ChangeTouch says that something happened to a key in the shared tier: it was
	// written or removed, by this process, another or a program of any kind, or it
	// expired or was evicted. What it was has to be looked up there; see Versions. It
	// is never published: a feed that can watch the shared tier itself makes it.
	ChangeTouch ChangeKind = '~'
)

// News is what a Feed delivers.
type News struct {
	Changes []Change
	// Cursor is where to follow on from after these changes. It is empty in news that
	// came beside what is published: that says nothing of how much of it is known here.
	// The first news has one.
	Cursor string
	// Missed says that changes before these are lost: what the process holds
	// from before is suspect.
	Missed bool
	// Unheard says that touches (ChangeTouch) before these may be lost, and nothing
	// that was published: what the process holds in memory is suspect.
	Unheard bool
	// Behind says that more had been published when these were read: news of it
	// follows at once. News without it means that the process knows of everything up
	// to then.
	Behind bool
}
