package frontend

import (
	"cmp"
	"net/netip"
	"slices"
	"sync/atomic"
)

type counters struct {
	accepted, limited, slow, junk, noSite, noBackend, loops, idle, requests, toClients, toBackends atomic.Uint64
	active                                                                                         atomic.Int64
}

// Stats are a [Frontend]'s counters since it was made.
type Stats struct {
	Accepted   uint64         // clients' connections
	Active     int64          // those that are served now
	Limited    uint64         // those that were closed because there were too many
	Slow       uint64         // TLS clients that did not finish their ClientHello in time
	Junk       uint64         // TLS clients that sent none, or one that cannot be routed
	NoSite     uint64         // names that are not served
	NoBackend  uint64         // connections that no backend accepted
	Loops      uint64         // connections and requests that had come from this frontend
	Idle       uint64         // TLS connections closed because nothing moved
	Requests   uint64         // HTTP requests that were passed on
	ToClients  uint64         // octets of TLS connections
	ToBackends uint64         // octets of TLS connections, without their ClientHellos
	Backends   []BackendStats // those of the configuration in use
}

// BackendStats are those of one backend.
type BackendStats struct {
	Addr   netip.Addr // as it is configured
	Up     bool       // its probes succeed, or there are none
	Active int64      // connections now
	Total  uint64     // connections so far
	Failed uint64     // connections that it did not accept
}

// Stats returns the counters, with the backends in the order of their addresses.
func (f *Frontend) Stats() Stats {
	c := &f.counters
	s := Stats{
		Accepted: c.accepted.Load(), Active: c.active.Load(), Limited: c.limited.Load(), Slow: c.slow.Load(), Junk: c.junk.Load(),
		NoSite: c.noSite.Load(), NoBackend: c.noBackend.Load(), Loops: c.loops.Load(), Idle: c.idle.Load(), Requests: c.requests.Load(),
		ToClients: c.toClients.Load(), ToBackends: c.toBackends.Load(),
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.backends {
		s.Backends = append(s.Backends, BackendStats{b.addr, !b.down.Load(), b.active.Load(), b.total.Load(), b.failed.Load()})
	}
	slices.SortFunc(s.Backends, func(a, b BackendStats) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Total, b.Total))
	})
	return s
}
