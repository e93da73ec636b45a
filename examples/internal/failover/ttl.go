package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// past is a TTL that servers gave until, at the latest, a moment: caches may have
// kept a record with it for that long again.
type past struct {
	TTL   Seconds   `json:"ttl_seconds"`
	Until time.Time `json:"until"`
}

// history is what is known of the TTL of one name's records of one type. The TTL is
// the longest of all authoritative servers.
type history struct {
	TTL   Seconds   `json:"ttl_seconds"`
	Since time.Time `json:"since"` // first seen
	Past  []past    `json:"past,omitempty"`
}

// observe adds what the servers give now. Before the first time they may have given
// former.
func (h *history) observe(ttl, former time.Duration, now time.Time) {
	switch {
	case h.Since.IsZero():
		*h = history{Seconds(ttl), now, []past{{Seconds(former), now}}}
	case Seconds(ttl) != h.TTL:
		h.Past = append(h.Past, past{h.TTL, now})
		h.TTL, h.Since = Seconds(ttl), now
	}
	h.Past = slices.DeleteFunc(h.Past, func(p past) bool { return p.expires().Before(now) })
}

func (p past) expires() time.Time { return p.Until.Add(time.Duration(p.TTL)) }

// safe returns when caches hold no record for longer than ttl any more; zero when
// the servers still give a longer one.
func (h *history) safe(ttl time.Duration) (at time.Time, lowered bool) {
	for _, p := range h.Past {
		if time.Duration(p.TTL) > ttl && p.expires().After(at) {
			at = p.expires()
		}
	}
	return at, time.Duration(h.TTL) <= ttl
}

// seen is what one authoritative server says.
type seen struct {
	server nameserver
	names  map[string]records
	err    error
}

// look asks all authoritative servers for the addresses of all names. Addresses that
// this host has no way to are left out, if there are others.
func (s *Site) look(ctx context.Context) ([]seen, error) {
	servers, err := s.authoritative(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]seen, len(servers))
	var wg sync.WaitGroup
	for i, server := range servers {
		wg.Go(func() { all[i] = s.ask(ctx, server, false) })
	}
	wg.Wait()
	reached := slices.DeleteFunc(slices.Clone(all), func(one seen) bool { return noRoute(one.err) })
	if len(reached) == 0 {
		reached = all
	}
	return reached, ctx.Err()
}

// noRoute reports whether this host has no way to an address at all, as opposed to a
// server that does not answer.
func noRoute(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}

// ask asks one server for the addresses of all names.
func (s *Site) ask(ctx context.Context, server nameserver, recursive bool) seen {
	one := seen{server: server, names: map[string]records{}}
	for _, name := range s.names {
		found, err := lookup(ctx, s.dial, server, name, recursive)
		if err != nil {
			one.err = err
			return one
		}
		one.names[name] = found
	}
	return one
}

// checkTTL looks at the TTLs, remembers them, and tells whether they were lowered
// long enough ago. Who calls it holds the lock.
func (s *Site) checkTTL(ctx context.Context) (Answer, []seen, error) {
	all, err := s.look(ctx)
	if err != nil {
		return Answer{}, nil, err
	}
	var items []Item
	for _, one := range all {
		if one.err != nil {
			items = append(items, Item{one.server.String(), Failed, one.err.Error()})
		}
	}
	complete := len(items) == 0
	histories := map[string]*history{}
	if err := s.restore("ttl.json", &histories); err != nil {
		return Answer{}, nil, err
	}
	for _, name := range s.names {
		found := false
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
			what := name + " " + dns.TypeToString[qtype]
			ttl, known := longestTTL(all, name, qtype)
			found = found || known
			// A record that is gone may still be in caches.
			if !known && (histories[what] == nil || !complete) {
				continue
			}
			if histories[what] == nil {
				histories[what] = &history{}
			}
			// A server that does not answer may still give a longer one.
			if complete || Seconds(ttl) > histories[what].TTL {
				histories[what].observe(ttl, s.DNS.FormerTTL, s.now())
			}
			items = append(items, s.judgeTTL(what, histories[what]))
		}
		if !found && complete {
			items = append(items, Item{name, Different, "no server has an address of it"})
		}
	}
	a := answer(QuestionTTL, items, "caches let go of the addresses within %v", s.DNS.TTL)
	return a, all, s.save("ttl.json", histories)
}

// longestTTL returns the longest TTL that any server gives for a name's records of
// a type; false when none has any.
func longestTTL(all []seen, name string, qtype uint16) (longest time.Duration, known bool) {
	for _, one := range all {
		if set := one.names[name][qtype]; len(set.addrs) > 0 {
			longest, known = max(longest, set.ttl), true
		}
	}
	return longest, known
}

func (s *Site) judgeTTL(what string, h *history) Item {
	at, lowered := h.safe(s.DNS.TTL)
	switch {
	case !lowered:
		return Item{what, Different, fmt.Sprintf("its TTL is %v: lower it to %v, then wait", time.Duration(h.TTL), s.DNS.TTL)}
	case at.After(s.now()):
		return Item{what, Different, fmt.Sprintf("its TTL is %v since %s, caches may hold an older one until %s",
			time.Duration(h.TTL), h.Since.Format(time.RFC3339), at.Format(time.RFC3339))}
	}
	return Item{What: what, State: Same}
}
