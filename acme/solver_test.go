package acme_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/acmetest"
)

// world is example.org with two servers, and a solver that works there.
type world struct {
	*acmetest.Internet
	zone   *acmetest.Zone
	solver *acme.Solver
	log    *bytes.Buffer
}

func newWorld(t *testing.T) *world {
	n := acmetest.NewInternet(t)
	n.Zone("org.")
	w := &world{Internet: n, zone: n.Zone("example.org.", "192.0.2.1", "2001:db8::1"), log: &bytes.Buffer{}}
	w.zone.Add("www.example.org. 60 IN A 192.0.2.80")
	checker := n.Checker()
	checker.Logger = slog.New(slog.NewTextHandler(w.log, nil))
	w.solver = &acme.Solver{Provider: n.Provider(), Checker: checker, Journal: &acme.Journal{Dir: filepath.Join(t.TempDir(), "journal")}}
	return w
}

// place returns where the record for a domain goes.
func (w *world) place(t *testing.T, domain string) (acme.Record, error) {
	plan, err := w.solver.Plan(t.Context(), acme.Challenge{Domain: domain, Value: "v"})
	return plan[0], err
}

func TestConformanceOfTheSimulation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acmetest.Provider(t, acmetest.Subject{Provider: w.Provider(), Zone: "example.org.", Lookup: w.zone.TXT})
}

func TestPublishAndWithdraw(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.zone.Delay = 200 * time.Millisecond
	apex, wildcard := acme.Challenge{Domain: "example.org", Value: "a"}, acme.Challenge{Domain: "*.Example.ORG.", Value: "b"}
	start := time.Now()
	require.NoError(t, w.solver.Publish(t.Context(), apex, wildcard))
	require.GreaterOrEqual(t, time.Since(start), w.zone.Delay)
	require.ElementsMatch(t, []string{"a", "b"}, w.zone.TXT("_acme-challenge.example.org."))
	require.NoError(t, w.solver.Withdraw(t.Context(), apex))
	require.Equal(t, []string{"b"}, w.zone.TXT("_acme-challenge.example.org."))
	require.NoError(t, w.solver.Withdraw(t.Context(), apex, wildcard))
	require.Empty(t, w.zone.TXT("_acme-challenge.example.org."))
	require.Contains(t, w.log.String(), `server="ns2.example.org. (2001:db8::1)" reason="no such name"`)
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Zone("net.")
	w.Zone("acme.net.", "203.0.113.1")
	w.Zone("sub.example.org.", "192.0.2.1") // on one of the same servers
	w.Zone("_acme-challenge.delegated.example.org.")
	w.zone.Add(
		"_acme-challenge.alias.example.org. 60 IN CNAME A.Acme.Net.",
		"_acme-challenge.two.example.org. 60 IN CNAME _acme-challenge.alias.example.org.",
		"*.wild.example.org. 60 IN CNAME www.elsewhere.acme.net.",
		"*.example.org. 60 IN CNAME www.acme.net.",
		"_acme-challenge.meant.wild.example.org. 60 IN CNAME meant.acme.net.",
		"host.example.org. 60 IN CNAME www.acme.net.",
		"_acme-challenge.broken.example.org. 60 IN CNAME x.broken.",
	)
	for domain, want := range map[string]string{
		"example.org":               "example.org. _acme-challenge.example.org.",
		"www.example.org":           "example.org. _acme-challenge.www.example.org.",
		"*.a.sub.example.org":       "sub.example.org. _acme-challenge.a.sub.example.org.",
		"sub.example.org":           "sub.example.org. _acme-challenge.sub.example.org.",
		"delegated.example.org":     "_acme-challenge.delegated.example.org. _acme-challenge.delegated.example.org.",
		"alias.example.org":         "acme.net. a.acme.net.",
		"two.example.org":           "acme.net. a.acme.net.",
		"x.wild.example.org":        "example.org. _acme-challenge.x.wild.example.org.", // a wildcard's, not followed
		"wild.example.org":          "example.org. _acme-challenge.wild.example.org.",
		"meant.wild.example.org":    "acme.net. meant.acme.net.",
		"host.example.org":          "example.org. _acme-challenge.host.example.org.", // below an alias
		"bücher.example.org":        "example.org. _acme-challenge.xn--bcher-kva.example.org.",
		"xn--bcher-kva.example.org": "example.org. _acme-challenge.xn--bcher-kva.example.org.",
	} {
		t.Run(domain, func(t *testing.T) {
			at, err := w.place(t, domain)
			require.NoError(t, err)
			require.Equal(t, want, at.Zone+" "+at.Name)
		})
	}
	t.Run("aliases by configuration", func(t *testing.T) {
		w.solver.Aliases = map[string]string{"_acme-challenge.www.example.org": "mapped.acme.net"}
		at, err := w.place(t, "www.example.org")
		require.NoError(t, err)
		require.Equal(t, "acme.net. mapped.acme.net.", at.Zone+" "+at.Name)
	})
}

func TestPlacesThatAreErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.zone.Add(
		"_acme-challenge.loop.example.org. 60 IN CNAME l1.example.org.",
		"l1.example.org. 60 IN CNAME L2.example.org.",
		"l2.example.org. 60 IN CNAME l1.example.org.",
		"_acme-challenge.long.example.org. 60 IN CNAME h0.example.org.",
	)
	for i := range 9 {
		w.zone.Add(fmt.Sprintf("h%d.example.org. 60 IN CNAME h%d.example.org.", i, i+1))
	}
	w.Mangle = func(server netip.Addr, answer *dns.Msg) *dns.Msg {
		if answer.Question[0].Name == "_acme-challenge.servfail.example.org." {
			answer.Rcode, answer.Answer = dns.RcodeServerFailure, nil
		}
		return answer
	}
	for domain, want := range map[string]error{
		"loop.example.org":           acme.ErrCNAMELoop,
		"long.example.org":           acme.ErrCNAMELoop,
		"no-such-name.invalid":       acme.ErrNoZone,
		"nobody-registered-this.org": acme.ErrNoZone,
	} {
		_, err := w.place(t, domain)
		require.ErrorIs(t, err, want, domain)
		require.ErrorContains(t, err, domain)
	}
	for domain, want := range map[string]string{
		"servfail.example.org": "SERVFAIL",
		"":                     "empty",
		"a..example.org":       "label",
		"a b.example.org":      `' ' may not be`,
	} {
		_, err := w.place(t, domain)
		require.ErrorContains(t, err, want, domain)
	}
	// All problems of a batch at once.
	_, err := w.solver.Plan(t.Context(), acme.Challenge{Domain: "loop.example.org", Value: "v"}, acme.Challenge{Domain: "x.invalid", Value: "v"})
	require.ErrorIs(t, err, acme.ErrCNAMELoop)
	require.ErrorIs(t, err, acme.ErrNoZone)
}

func TestTooManyServers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 64 {
		w.zone.Add(fmt.Sprintf("ns1.example.org. 60 IN A 203.0.113.%d", i+1))
	}
	_, err := w.place(t, "example.org")
	require.ErrorContains(t, err, "more than 64 server addresses")
	for i := range 64 {
		w.zone.Add(fmt.Sprintf("example.org. 60 IN NS more%d.example.org.", i))
	}
	before := w.Asked(netip.MustParseAddrPort(acmetest.ResolverAddress).Addr())
	_, err = w.place(t, "example.org")
	require.ErrorContains(t, err, "more than 64 servers")
	require.Less(t, w.Asked(netip.MustParseAddrPort(acmetest.ResolverAddress).Addr())-before, 10)
}

// A server that will not do is waited for, its reason told, and all is undone.
func TestPropagationFailures(t *testing.T) {
	second := netip.MustParseAddr("2001:db8::1")
	for reason, spoil := range map[string]func(*dns.Msg) *dns.Msg{
		"REFUSED":           func(m *dns.Msg) *dns.Msg { m.Rcode = dns.RcodeRefused; return m },
		"not authoritative": func(m *dns.Msg) *dns.Msg { m.Authoritative = false; return m },
		"no TXT record":     func(m *dns.Msg) *dns.Msg { m.Answer = nil; return m },
		"no such name":      func(m *dns.Msg) *dns.Msg { m.Answer, m.Rcode = nil, dns.RcodeNameError; return m },
		"another value": func(m *dns.Msg) *dns.Msg {
			for _, rr := range m.Answer {
				if txt, ok := rr.(*dns.TXT); ok {
					m.Answer = []dns.RR{&dns.TXT{Hdr: txt.Hdr, Txt: []string{"old"}}}
				}
			}
			return m
		},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Mangle = func(server netip.Addr, answer *dns.Msg) *dns.Msg {
				if server == second && answer.Question[0].Qtype == dns.TypeTXT {
					return spoil(answer)
				}
				return answer
			}
			w.solver.Checker.Timeout = 300 * time.Millisecond
			err := w.solver.Publish(t.Context(), acme.Challenge{Domain: "example.org", Value: "v"})
			var pending *acme.PropagationError
			require.ErrorAs(t, err, &pending)
			require.Equal(t, []acme.Pending{{Name: "_acme-challenge.example.org.", Server: "ns2.example.org. (2001:db8::1)", Reason: reason}}, pending.Pending)
			require.Empty(t, w.zone.TXT("_acme-challenge.example.org."), "rolled back")
			require.Contains(t, w.log.String(), reason)
		})
	}
}

// A server that is silent, and an address that this host has no way to.
func TestUnreachableServers(t *testing.T) {
	six := netip.MustParseAddr("2001:db8::1")
	challenge := acme.Challenge{Domain: "example.org", Value: "v"}
	t.Run("silent", func(t *testing.T) {
		w := newWorld(t)
		w.Mangle = func(server netip.Addr, answer *dns.Msg) *dns.Msg {
			if server == six {
				return nil
			}
			return answer
		}
		w.solver.Checker.Timeout = 200 * time.Millisecond
		err := w.solver.Publish(t.Context(), challenge)
		require.ErrorContains(t, err, "_acme-challenge.example.org. at ns2.example.org. (2001:db8::1): no answer")
		require.Empty(t, w.zone.TXT("_acme-challenge.example.org."))
	})
	t.Run("no IPv6 here", func(t *testing.T) {
		w := newWorld(t)
		w.solver.Checker.Dial = w.without(netip.Addr.Is6)
		require.NoError(t, w.solver.Publish(t.Context(), challenge))
		require.Contains(t, w.log.String(), "no route to a server")
	})
	t.Run("no route at all", func(t *testing.T) {
		w := newWorld(t)
		w.solver.Checker.Dial = w.without(func(a netip.Addr) bool { return w.zone.Servers[0] == a || a == six })
		require.ErrorContains(t, w.solver.Publish(t.Context(), challenge), "unreachable")
	})
}

// without returns a Dial for a host that has no route to some addresses.
func (w *world) without(gone func(netip.Addr) bool) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if gone(netip.MustParseAddrPort(address).Addr()) {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ENETUNREACH}
		}
		return w.Dial(ctx, network, address)
	}
}

// Two rounds in a row: an anycast site that lags behind shows itself in one.
func TestTwoRounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var shown atomic.Int64
	w.Mangle = func(_ netip.Addr, answer *dns.Msg) *dns.Msg {
		if answer.Question[0].Qtype == dns.TypeTXT && len(answer.Answer) > 0 {
			if shown.Add(1)%3 == 2 && shown.Load() < 9 {
				answer.Answer = nil
			}
		}
		return answer
	}
	require.NoError(t, w.solver.Publish(t.Context(), acme.Challenge{Domain: "example.org", Value: "v"}))
	require.GreaterOrEqual(t, shown.Load(), int64(4))
}

func TestResolversAreAskedLast(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.solver.Checker.ConfirmResolvers = true
	var early atomic.Bool
	w.Mangle = func(server netip.Addr, answer *dns.Msg) *dns.Msg {
		if server == netip.MustParseAddrPort(acmetest.ResolverAddress).Addr() && answer.Question[0].Name == "_acme-challenge.example.org." &&
			len(w.zone.TXT("_acme-challenge.example.org.")) == 0 {
			early.Store(true)
		}
		return answer
	}
	challenge := acme.Challenge{Domain: "example.org", Value: "v"}
	require.NoError(t, w.solver.Publish(t.Context(), challenge))
	require.False(t, early.Load(), "a resolver was made to remember that there is no record")
}

func TestRollbackOfABatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	provider := &faulty{Provider: w.Provider(), fail: "b"}
	w.solver.Provider = provider
	err := w.solver.Publish(t.Context(),
		acme.Challenge{Domain: "example.org", Value: "a"}, acme.Challenge{Domain: "example.org", Value: "b"}, acme.Challenge{Domain: "www.example.org", Value: "c"})
	require.ErrorIs(t, err, acme.ErrDenied)
	require.Empty(t, w.zone.TXT("_acme-challenge.example.org."))
	require.Empty(t, w.zone.TXT("_acme-challenge.www.example.org."))
}

// A caller that gives up has its records removed all the same.
func TestCancelledWhileWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.zone.Delay = time.Hour
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	provider := &faulty{Provider: w.Provider(), after: func() { cancel(enough) }}
	w.solver.Provider = provider
	require.ErrorIs(t, w.solver.Publish(ctx, acme.Challenge{Domain: "example.org", Value: "v"}), enough)
	require.Empty(t, w.zone.TXT("_acme-challenge.example.org."))
}

func TestRateLimitIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	provider := &faulty{Provider: w.Provider(), limited: 3}
	w.solver.Provider = provider
	require.NoError(t, w.solver.Publish(t.Context(), acme.Challenge{Domain: "example.org", Value: "v"}))
	require.Zero(t, provider.limited)
	// A hook has no deadline: it does not sleep for an hour with the zone locked.
	provider.limited, provider.putOff = 1, time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(20*time.Second, cancel).Stop()
	require.ErrorIs(t, w.solver.Publish(ctx, acme.Challenge{Domain: "www.example.org", Value: "w"}), acme.ErrRateLimited)
	require.NoError(t, ctx.Err(), "it waited")
}

// lister knows two zones, one within the other.
type lister struct{ acme.Provider }

func (lister) Zones(context.Context) ([]string, error) {
	return []string{"org", "Example.org", "ample.org"}, nil
}

func TestZoneLister(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Zone("sub.example.org.")
	w.Zone("net.")
	w.Zone("example.net.")
	w.solver.Provider = lister{w.Provider()}
	at, err := w.place(t, "sub.example.org")
	require.NoError(t, err)
	require.Equal(t, "example.org.", at.Zone)
	_, err = w.place(t, "example.net")
	require.ErrorIs(t, err, acme.ErrNoZone)
}

func TestParallelSolversAtOneName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			s := *w.solver
			c := acme.Challenge{Domain: "example.org", Value: fmt.Sprint("value", i)}
			if err := s.Publish(t.Context(), c); err != nil {
				t.Error(err)
			}
			if err := s.Withdraw(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Empty(t, w.zone.TXT("_acme-challenge.example.org."))
}

// The servers of a zone are found once, not for each name.
func TestBatchFindsServersOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	resolver := netip.MustParseAddrPort(acmetest.ResolverAddress).Addr()
	asked := func(names int) int {
		before := w.Asked(resolver)
		var batch []acme.Challenge
		for i := range names {
			batch = append(batch, acme.Challenge{Domain: fmt.Sprintf("host%d.example.org", i), Value: "v"})
		}
		_, err := w.solver.Plan(t.Context(), batch...)
		require.NoError(t, err)
		return w.Asked(resolver) - before
	}
	require.Equal(t, asked(1)+49, asked(50))
}

// A hundred names wait once, not a hundred times.
func BenchmarkPublish(b *testing.B) {
	for _, names := range []int{1, 100} {
		b.Run(fmt.Sprint(names), func(b *testing.B) {
			n := acmetest.NewInternet(b)
			n.Zone("org.")
			n.Zone("example.org.", "192.0.2.1", "192.0.2.2").Delay = 2 * time.Second
			solver := &acme.Solver{Provider: n.Provider(), Checker: n.Checker(), Journal: &acme.Journal{Dir: b.TempDir()}}
			for round := 0; b.Loop(); round++ {
				var batch []acme.Challenge
				for i := range names {
					// Values of its own: those of the round before are still served.
					value := acme.Digest(fmt.Sprint(round, i))
					batch = append(batch, acme.Challenge{Domain: fmt.Sprintf("host%d.example.org", i), Value: value})
				}
				require.NoError(b, solver.Publish(b.Context(), batch...))
				b.StopTimer()
				require.NoError(b, solver.Withdraw(b.Context(), batch...))
				b.StartTimer()
			}
		})
	}
}

func ExampleDigest() {
	fmt.Println(acme.Digest("token.thumbprint"))
	// Output: 61rBZ_4knHblO0MNoxFsXZ_eTFUHum0B6IVRbhvUn5I
}

func ExampleLongestZone() {
	fmt.Println(acme.LongestZone("_acme-challenge.a.example.org.", []string{"org", "example.org", "ample.org"}))
	// Output: example.org.
}
