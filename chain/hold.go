package chain

import "context"

// hold keeps flushes of key away from the tier until letGo, so that a call that
// writes the key directly and a flush of something older cannot cross. It waits
// while a flush of the key is under way. The caller has the key's lock.
func (q *queue) hold(ctx context.Context, key string) error {
	for {
		q.mu.Lock()
		if s := q.slots[key]; s == nil || !s.busy {
			q.held[key]++
			q.mu.Unlock()
			return nil
		}
		quiet := await(&q.quiet)
		q.mu.Unlock()
		select {
		case <-quiet:
		case <-ctx.Done():
			return ended(ctx)
		}
	}
}

// holdFree is hold where the tier is owed nothing of the key; it does not wait.
func (q *queue) holdFree(key string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.slots[key] != nil {
		return false
	}
	q.held[key]++
	return true
}

// letGo ends a hold.
func (q *queue) letGo(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held[key]--; q.held[key] <= 0 {
		delete(q.held, key)
	}
	if q.slots[key] != nil {
		signal(q.wake)
	}
}

// pause keeps flushes from beginning until resume, and waits for one under way.
func (q *queue) pause(ctx context.Context) error {
	for i := range q.lanes {
		select {
		case q.lanes[i].token <- struct{}{}:
		case <-ctx.Done():
			for j := range i {
				<-q.lanes[j].token
			}
			return ended(ctx)
		}
	}
	return nil
}

func (q *queue) resume() {
	for i := range q.lanes {
		<-q.lanes[i].token
	}
}
