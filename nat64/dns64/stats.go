package dns64

import "sync/atomic"

// Stats are a [Handler]'s counters since it was made.
type Stats struct {
	Queries     uint64 // all that came
	Synthesized uint64 // answers with records that were made here
	Refused     uint64 // from clients that may not ask
	Limited     uint64 // beyond the rate or the concurrency
	Failed      uint64 // queries that upstream did not answer
}

type counters struct {
	queries, synthesized, refused, limited, failed atomic.Uint64
}

// Stats returns the counters.
func (h *Handler) Stats() Stats {
	return Stats{
		Queries:     h.counters.queries.Load(),
		Synthesized: h.counters.synthesized.Load(),
		Refused:     h.counters.refused.Load(),
		Limited:     h.counters.limited.Load(),
		Failed:      h.counters.failed.Load(),
	}
}
