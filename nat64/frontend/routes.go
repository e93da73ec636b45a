package frontend

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// retryAfter is how long a backend without health checks is avoided after it
// did not accept a connection.
const retryAfter = 5 * time.Second

// routes is a configuration in use. It does not change.
type routes struct {
	config Config // with its limits' defaults
	sites  map[string]*site
	all    []*site
}

// A site is a group of names and its backends.
type site struct {
	Site
	backends []*backend
	http     *transport
}

// A backend is an address that connections go to. It lives through changes of
// the configuration, as its connections do.
type backend struct {
	addr   netip.Addr
	probe  netip.AddrPort // zero: not probed
	every  time.Duration
	active atomic.Int64
	total  atomic.Uint64
	failed atomic.Uint64
	down   atomic.Bool
	retry  atomic.Int64 // when it may be tried again, in Unix nanoseconds
	stop   func()       // ends its probes; nil while nothing probes it
}

// backendKey is what makes two backends the same one.
type backendKey struct {
	addr  netip.Addr
	probe netip.AddrPort
	every time.Duration
}

func (b *backend) key() backendKey { return backendKey{b.addr, b.probe, b.every} }

// lookup returns the site of a canonical name, nil when there is none.
func (r *routes) lookup(name string) *site {
	if s := r.sites[name]; s != nil && name != "*" {
		return s
	}
	for parent := name; ; {
		_, rest, found := strings.Cut(parent, ".")
		if !found {
			return r.sites["*"]
		}
		if s := r.sites["*."+rest]; s != nil {
			return s
		}
		parent = rest
	}
}

func (s *Site) port(kind kind) uint16 {
	if kind == kindTLS {
		return cmp.Or(s.Ports.TLS, 443)
	}
	return cmp.Or(s.Ports.HTTP, 80)
}

// candidates returns the backends in the order in which they are to be tried:
// those that answer, the least busy first, and then the others.
func (s *site) candidates(now time.Time) []*backend {
	type rank struct {
		*backend
		down   bool
		active int64
		total  uint64
	}
	ranks := make([]rank, len(s.backends))
	for i, b := range s.backends {
		ranks[i] = rank{b, b.avoided(now), b.active.Load(), b.total.Load()}
	}
	slices.SortFunc(ranks, func(a, b rank) int {
		if a.down != b.down {
			if a.down {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(a.active, b.active), cmp.Compare(a.total, b.total))
	})
	ordered := make([]*backend, len(ranks))
	for i, r := range ranks {
		ordered[i] = r.backend
	}
	return ordered
}

func (b *backend) avoided(now time.Time) bool {
	return b.down.Load() || now.UnixNano() < b.retry.Load()
}

// refused notes that the backend did not accept a connection.
func (b *backend) refused(now time.Time) {
	b.failed.Add(1)
	if b.probe.IsValid() {
		b.down.Store(true) // a probe will say when it is back
		return
	}
	b.retry.Store(now.Add(retryAfter).UnixNano())
}
