package chain

// BreakFences plants a bug in c: fills and walks do not notice writes.
func BreakFences(c *Chain) { c.fences.broken = true }

// BreakRetire plants a bug in c: what memory holds is served although a write of the
// key waits for its flush.
func BreakRetire(c *Chain) { c.keeps = true }

// BreakFlights plants a bug in c: readers join flights that began before a write.
func BreakFlights(c *Chain) { c.flights.broken = true }
