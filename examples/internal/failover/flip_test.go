package failover

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/cli"
)

func TestHistory(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	var h history
	safe := func() string {
		at, lowered := h.safe(time.Minute)
		if !lowered {
			return "not lowered"
		}
		if !at.After(now) {
			return "safe"
		}
		return at.Sub(now).String()
	}
	observe := func(ttl time.Duration) { h.observe(ttl, 24*time.Hour, now) }
	wait := func(d time.Duration) { now = now.Add(d) }

	observe(time.Minute)
	require.Equal(t, "24h0m0s", safe(), "nobody knows what it was before")
	wait(23 * time.Hour)
	observe(time.Minute)
	require.Equal(t, "1h0m0s", safe())
	wait(time.Hour + time.Second)
	observe(time.Minute)
	require.Equal(t, "safe", safe())
	require.Empty(t, h.Past, "what has expired is forgotten")

	observe(time.Hour)
	require.Equal(t, "not lowered", safe())
	wait(10 * time.Minute)
	observe(2 * time.Hour)
	wait(time.Minute)
	observe(30 * time.Second)
	require.Equal(t, "2h0m0s", safe(), "the longest counts")
	wait(time.Hour)
	observe(time.Minute)
	require.Equal(t, "1h0m0s", safe(), "a change below the limit changes nothing")
}

// simulated is a simulation for a test, with the state in dir.
func simulated(t *testing.T, dir string) (*Site, *world) {
	s, err := simulate(t.Context(), dir)
	require.NoError(t, err)
	s.interval = 5 * time.Millisecond
	return s, s.setter.(*world)
}

func (w *world) addresses(name string) []netip.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.zone[name]
}

// setter is a provider that can fail.
type setter func(name string, addresses []netip.Addr) error

func (set setter) SetAddresses(_ context.Context, _, name string, _ time.Duration, addresses ...netip.Addr) error {
	return set(name, addresses)
}

func TestFlipAndBack(t *testing.T) {
	dir := t.TempDir()
	s, w := simulated(t, dir)
	std, out, _ := streams()
	require.ErrorIs(t, s.Flip(t.Context(), Turn{DryRun: true}, std), cli.ErrDifferent)
	require.Contains(t, out.String(), "update add www.example.org. 60 AAAA 2001:db8::2\n")
	require.Equal(t, s.Primary, w.addresses("www.example.org."), "a dry run")

	require.NoError(t, s.Flip(t.Context(), Turn{}, std))
	require.Equal(t, s.Standby, w.addresses("www.example.org."))
	require.Equal(t, s.Standby, w.addresses("example.org."))
	require.Contains(t, out.String(), "192.0.2.53:53 has it after ")
	require.Contains(t, out.String(), "192.0.2.153:53 has it after ")

	out.Reset()
	require.NoError(t, s.Flip(t.Context(), Turn{}, std))
	require.Equal(t, "nothing to do: all servers give the addresses already\n", out.String())

	// Another process finds what the first one left, also names that are no longer configured.
	s, w = simulated(t, dir)
	s.names = s.names[1:]
	out.Reset()
	require.ErrorIs(t, s.Report(time.Hour, false, std), cli.ErrDifferent)
	require.Contains(t, out.String(), "flip      flip of www.example.org., example.org., done at ")
	require.NoError(t, s.Flip(t.Context(), Turn{Back: true}, std))
	require.Equal(t, s.Primary, w.addresses("www.example.org."))
	require.Equal(t, s.Primary, w.addresses("example.org."))
	out.Reset()
	s.Report(time.Hour, false, std)
	require.NotContains(t, out.String(), "flip ")
	require.NoError(t, s.Flip(t.Context(), Turn{Back: true}, std))
	require.Contains(t, out.String(), "nothing to do")
}

// crash ends the process in the middle of a flip, as far as the disk can tell.
func crash(t *testing.T, s *Site, turn Turn, after int) {
	inner := s.setter
	s.setter = setter(func(name string, addresses []netip.Addr) error {
		if after--; after < 0 {
			panic("crash")
		}
		return inner.SetAddresses(t.Context(), s.zone, name, 0, addresses...)
	})
	std, _, _ := streams()
	require.PanicsWithValue(t, "crash", func() { s.Flip(t.Context(), turn, std) })
}

func TestCrash(t *testing.T) {
	for after := range 2 {
		for _, then := range []bool{false, true} {
			dir := t.TempDir()
			s, _ := simulated(t, dir)
			crash(t, s, Turn{}, after)

			s, _ = simulated(t, dir)
			std, out, _ := streams()
			require.ErrorIs(t, s.Report(time.Hour, false, std), cli.ErrDifferent)
			require.Contains(t, out.String(), "has not ended (perhaps not set: ")
			require.Contains(t, out.String(), "run failover flip again, or failover flip-back")
			require.Equal(t, after == 0, strings.Contains(out.String(), "not set: www.example.org."))

			// Either way out works, and again after a crash of its own.
			crash(t, s, Turn{Back: then}, 0)
			s, w := simulated(t, dir)
			require.NoError(t, s.Flip(t.Context(), Turn{Back: then}, std))
			want := map[bool][]netip.Addr{false: s.Standby, true: s.Primary}[then]
			require.Equal(t, want, w.addresses("www.example.org."))
			require.Equal(t, want, w.addresses("example.org."))
			require.NoError(t, s.Flip(t.Context(), Turn{Back: true}, std))
			require.Equal(t, s.Primary, w.addresses("example.org."))
		}
	}
}

// What a name had before comes back, whatever the configuration says of the primary.
func TestFlipBackRestores(t *testing.T) {
	s, w := simulated(t, t.TempDir())
	before := []netip.Addr{netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8:7::7")}
	w.zone["www.example.org."] = before
	std, _, _ := streams()
	require.NoError(t, s.Flip(t.Context(), Turn{}, std))
	require.NoError(t, s.Flip(t.Context(), Turn{Back: true}, std))
	require.Equal(t, before, w.addresses("www.example.org."))
	require.Equal(t, s.Primary, w.addresses("example.org."))
}

// With no journal, as after the loss of the state, the primary's addresses are those
// of the configuration.
func TestFlipBackWithoutJournal(t *testing.T) {
	s, w := simulated(t, t.TempDir())
	w.zone["www.example.org."] = s.Standby
	std, _, _ := streams()
	require.NoError(t, s.Flip(t.Context(), Turn{Back: true}, std))
	require.Equal(t, s.Primary, w.addresses("www.example.org."))
}

func TestGuard(t *testing.T) {
	for name, spoil := range map[string]func(*Site, *world){
		"its TTL is 1m0s: lower it to 30s":            func(s *Site, w *world) { s.DNS.TTL = 30 * time.Second; w.ttl = time.Minute },
		"caches may hold an older one until":          func(s *Site, w *world) { require.NoError(t, s.save("ttl.json", map[string]history{})) },
		"the simulation has nothing at 192.0.2.2:22":  func(s *Site, w *world) { delete(w.ports, "tcp 192.0.2.2:22") },
		"the simulation has nothing at 192.0.2.53:53": func(s *Site, w *world) { delete(w.ports, "udp 192.0.2.53:53"); s.DNS.Wait = 300 * time.Millisecond },
	} {
		t.Run(name, func(t *testing.T) {
			s, w := simulated(t, t.TempDir())
			spoil(s, w)
			std, _, diagnostics := streams()
			require.ErrorIs(t, s.Flip(t.Context(), Turn{}, std), cli.ErrDifferent)
			require.Contains(t, diagnostics.String(), name)
			require.Contains(t, diagnostics.String(), "nothing was changed")
			require.Equal(t, s.Primary, w.addresses("www.example.org."))
			require.NoFileExists(t, filepath.Join(s.state, "journal.json"))
			err := s.Flip(t.Context(), Turn{Force: true}, std)
			require.Equal(t, s.Standby, w.addresses("www.example.org."), "force")
			require.Equal(t, strings.Contains(name, "nothing at"), err != nil, "what is missing is told again: %v", err)
		})
	}
}

// A flip that is forced with a long TTL has the short one, and its way back is free:
// old caches hold the address that it leads to.
func TestForcedFlipBack(t *testing.T) {
	s, w := simulated(t, t.TempDir())
	w.ttl = time.Hour
	std, out, _ := streams()
	require.ErrorIs(t, s.Flip(t.Context(), Turn{}, std), cli.ErrDifferent)
	require.NoError(t, s.Flip(t.Context(), Turn{Force: true}, std))
	require.Contains(t, out.String(), "update add www.example.org. 60 A 192.0.2.2\n")
	require.NoError(t, s.Flip(t.Context(), Turn{Back: true}, std))
	require.Contains(t, out.String(), "update add www.example.org. 3600 A 192.0.2.1\n")
}

// An emergency does not wait for the check that cron has started.
func TestFlipDuringCheck(t *testing.T) {
	dir := t.TempDir()
	s, w := simulated(t, dir)
	reached, release := make(chan struct{}), make(chan struct{})
	s.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasSuffix(address, ":80") {
			select {
			case reached <- struct{}{}:
			case <-release:
			}
			<-release
		}
		return w.dial(ctx, network, address)
	}
	checked := make(chan error)
	go func() {
		std, _, _ := streams()
		checked <- s.Check(t.Context(), false, std)
	}()
	<-reached
	other, otherWorld := simulated(t, dir)
	std, _, _ := streams()
	require.NoError(t, other.Flip(t.Context(), Turn{}, std))
	require.Equal(t, s.Standby, otherWorld.addresses("www.example.org."))
	close(release)
	require.ErrorIs(t, <-checked, cli.ErrDifferent)
}

// A secondary that does not get the change is told, and the flip stays unfinished.
func TestNotInTime(t *testing.T) {
	s, w := simulated(t, t.TempDir())
	s.DNS.Wait = 200 * time.Millisecond
	s.setter = setter(func(name string, addresses []netip.Addr) error {
		if name != "example.org." {
			return w.SetAddresses(t.Context(), "", name, 0, addresses...)
		}
		return nil
	})
	std, _, _ := streams()
	err := s.Flip(t.Context(), Turn{}, std)
	require.ErrorContains(t, err, "not in time")
	require.ErrorContains(t, err, "192.0.2.53:53: example.org. is [192.0.2.1 2001:db8::1]")
	require.ErrorContains(t, err, "has not ended (set, but not seen everywhere)")
	s.setter, s.DNS.Wait = w, time.Minute
	require.NoError(t, s.Flip(t.Context(), Turn{}, std))
}

// A provider publishes late: what servers give says nothing of what it has been told.
func TestFlipBackOfWhatIsNotYetPublished(t *testing.T) {
	s, w := simulated(t, t.TempDir())
	s.DNS.Wait = 200 * time.Millisecond
	told := map[string][]netip.Addr{}
	s.setter = setter(func(name string, addresses []netip.Addr) error {
		told[name] = addresses
		return nil
	})
	std, _, _ := streams()
	require.ErrorContains(t, s.Flip(t.Context(), Turn{}, std), "not in time")
	require.Equal(t, s.Primary, w.addresses("www.example.org."))
	require.NoError(t, s.Flip(t.Context(), Turn{Back: true}, std))
	require.Equal(t, s.Primary, told["www.example.org."])
	require.Equal(t, s.Primary, told["example.org."])
}

// A record that is gone is still in caches.
func TestRecordGone(t *testing.T) {
	s, w := simulated(t, t.TempDir())
	look := func() string {
		a, _, err := s.checkTTL(t.Context())
		require.NoError(t, err)
		var text strings.Builder
		for _, item := range a.Items {
			text.WriteString(item.What + ": " + item.Detail + "\n")
		}
		return text.String()
	}
	change := func(ttl time.Duration, addresses []netip.Addr) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ttl = ttl
		for name := range w.zone {
			w.zone[name] = addresses
		}
	}
	change(time.Hour, s.Primary)
	require.Contains(t, look(), "example.org. AAAA: its TTL is 1h0m0s")
	change(time.Minute, s.Primary[:1]) // no IPv6
	require.Contains(t, look(), "example.org. AAAA: its TTL is 0s since")
	now := time.Now().Add(2 * time.Hour)
	s.now = func() time.Time { return now }
	require.Empty(t, look())
}

func TestProviderRefuses(t *testing.T) {
	s, _ := simulated(t, t.TempDir())
	s.setter = setter(func(string, []netip.Addr) error { return errors.New("REFUSED") })
	std, _, _ := streams()
	err := s.Flip(t.Context(), Turn{}, std)
	require.ErrorContains(t, err, "REFUSED")
	require.ErrorContains(t, err, "perhaps not set: www.example.org., example.org.")
}

func TestServersDisagree(t *testing.T) {
	one := seen{server: s53("192.0.2.53"), names: map[string]records{"a.": {1: rrset{addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}}}
	other := seen{server: s53("192.0.2.54"), names: map[string]records{"a.": {}}}
	_, err := agreed("a.", []seen{one, other})
	require.ErrorContains(t, err, "a.: 192.0.2.53:53 gives [192.0.2.1], but 192.0.2.54:53 gives []")
	_, err = agreed("a.", []seen{{err: errors.New("timeout")}})
	require.ErrorContains(t, err, "no server of the zone answers: timeout")
}

func s53(addr string) nameserver {
	return nameserver{addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 53)}
}

// A host without IPv6 can flip all the same.
func TestNoRoute(t *testing.T) {
	s, w := simulated(t, t.TempDir())
	s.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasPrefix(address, "[2001:db8::53]") {
			return nil, &net.OpError{Op: "dial", Err: syscall.ENETUNREACH}
		}
		return w.dial(ctx, network, address)
	}
	std, _, _ := streams()
	require.NoError(t, s.Flip(t.Context(), Turn{}, std))
}

// The servers of a zone are found by a resolver when none are configured.
func TestFindServers(t *testing.T) {
	s, w := simulated(t, t.TempDir())
	w.zone["ns1.example.org."] = []netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("2001:db8::53")}
	s.nameservers = nil
	found, err := s.authoritative(t.Context())
	require.NoError(t, err)
	var names []string
	for _, n := range found {
		names = append(names, n.String())
	}
	slices.Sort(names)
	require.Equal(t, []string{"ns1.example.org. (192.0.2.53)", "ns1.example.org. (2001:db8::53)"}, names)
}

func TestFlipJSON(t *testing.T) {
	s, _ := simulated(t, t.TempDir())
	std, out, _ := streams()
	require.NoError(t, s.Flip(t.Context(), Turn{JSON: true}, std))
	var outcome Outcome
	require.NoError(t, json.Unmarshal(out.Bytes(), &outcome))
	require.Len(t, outcome.Arrivals, 3)
	require.Len(t, outcome.Steps, 10)
	require.Len(t, outcome.Answers, 3)
}

func TestReportAges(t *testing.T) {
	s, _ := simulated(t, t.TempDir())
	std, out, _ := streams()
	require.ErrorIs(t, s.Report(time.Hour, false, std), cli.ErrDifferent)
	require.Contains(t, out.String(), "load      unknown   never looked at")
	require.NoError(t, s.Replay(t.Context(), 100, 20*time.Millisecond, false, std))
	now := time.Now()
	s.now = func() time.Time { return now.Add(2 * time.Hour) }
	out.Reset()
	s.Report(time.Hour, false, std)
	require.Contains(t, out.String(), "load      unknown   100 a second")
	require.Contains(t, out.String(), "(2h0m0s ago)")
}
