package dns64

import (
	"net/netip"
	"sync"
	"time"
)

// maxClients is how many clients a limiter remembers.
const maxClients = 65536

// A limiter gives each client as many queries a second, and as many in a burst.
type limiter struct {
	rate    float64 // negative: no limit
	mu      sync.Mutex
	buckets map[netip.Addr]bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

// take reports whether client may ask now.
func (l *limiter) take(client netip.Addr, now time.Time) bool {
	if l.rate < 0 {
		return true
	}
	if client.Is6() { // a host has a whole /64
		client = netip.PrefixFrom(client, 64).Masked().Addr()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b, known := l.buckets[client]
	if !known {
		l.makeRoom(now)
		b = bucket{tokens: l.rate, at: now}
	}
	b.tokens = min(l.rate, b.tokens+l.rate*now.Sub(b.at).Seconds())
	b.at = now
	allowed := b.tokens >= 1
	if allowed {
		b.tokens--
	}
	l.buckets[client] = b
	return allowed
}

// makeRoom forgets clients whose buckets are full again, and all of them if
// none is: a flood from everywhere cannot take more memory.
func (l *limiter) makeRoom(now time.Time) {
	if l.buckets == nil {
		l.buckets = map[netip.Addr]bucket{}
	}
	if len(l.buckets) < maxClients {
		return
	}
	for client, b := range l.buckets {
		if now.Sub(b.at) > time.Second {
			delete(l.buckets, client)
		}
	}
	if len(l.buckets) >= maxClients {
		clear(l.buckets)
	}
}
