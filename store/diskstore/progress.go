package diskstore

// meter tells Options.Progress how far a Verify, Compact or Snapshot has come. A nil one does
// nothing.
type meter struct {
	report      func(done, total int64)
	done, total int64
}

// meter begins to measure what goes through segs.
func (s *Store) meter(segs []*seg) *meter {
	if s.opts.Progress == nil {
		return nil
	}
	m := &meter{report: s.opts.Progress}
	for _, g := range segs {
		if g.lostAt == 0 {
			m.total += g.Meta.Bytes()
		}
	}
	m.report(0, m.total)
	return m
}

// at tells that so many of rows are through, which have so many bytes together.
func (m *meter) at(row, rows uint64, bytes int64) {
	if m != nil && rows > 0 {
		m.report(m.done+int64(float64(row)/float64(rows)*float64(bytes)), m.total)
	}
}

// end tells that so many bytes more are through.
func (m *meter) end(bytes int64) {
	if m != nil {
		m.done += bytes
		m.report(m.done, m.total)
	}
}
