package nat64

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

func addrs(texts ...string) (all []netip.Addr) {
	for _, text := range texts {
		all = append(all, addr(text))
	}
	return all
}

func TestReadPrefixes(t *testing.T) {
	type want struct {
		prefix string
		paired bool
	}
	for name, test := range map[string]struct {
		answer []netip.Addr
		want   []want
	}{
		"well known":   {addrs("64:ff9b::c000:aa", "64:ff9b::c000:ab"), []want{{"64:ff9b::/96", true}}},
		"each length":  {addrs("2001:db8:c000:aa::", "2001:db8:c000:ab::"), []want{{"2001:db8::/32", true}}},
		"/64":          {addrs("2001:db8:1:2:c0:0:aa00:0", "2001:db8:1:2:c0:0:ab00:0"), []want{{"2001:db8:1:2::/64", true}}},
		"one address":  {addrs("2001:db8:64::c000:aa"), []want{{"2001:db8:64::/96", false}}},
		"two prefixes": {addrs("64:ff9b::c000:ab", "2001:db8:64::c000:aa", "64:ff9b::c000:aa", "2001:db8:64::c000:ab"), []want{{"64:ff9b::/96", true}, {"2001:db8:64::/96", true}}},
		// The prefix itself holds 192.0.0.170 where a /32's address would be: the pair decides.
		"ambiguous":       {addrs("2001:db8:c000:aa::c000:aa", "2001:db8:c000:aa::c000:ab"), []want{{"2001:db8:c000:aa::/96", true}}},
		"ambiguous alone": {addrs("2001:db8:c000:aa::c000:aa"), nil},
		"octet 8":         {addrs("2001:db8:0:0:100:0:c000:aa", "2001:db8:0:0:100:0:c000:ab"), nil},
		"not synthesized": {addrs("2001:db8::1", "::ffff:192.0.0.170", "192.0.0.170"), nil},
		"well known /64":  {addrs("64:ff9b:0:0:c0:0:aa00:0", "64:ff9b:0:0:c0:0:ab00:0"), nil},
		"nothing":         {nil, nil},
	} {
		var got []want
		for _, f := range readPrefixes(test.answer) {
			got = append(got, want{f.Prefix.String(), f.Paired})
		}
		require.Equal(t, test.want, got, name)
	}
}

func FuzzReadPrefixes(f *testing.F) {
	one := addr("2001:db8:c000:aa::c000:aa").As16()
	two := addr("2001:db8:c000:aa::c000:ab").As16()
	f.Add(append(one[:], two[:]...))
	f.Fuzz(func(t *testing.T, octets []byte) {
		var answer []netip.Addr
		for len(octets) >= 16 && len(answer) < 20 {
			answer = append(answer, netip.AddrFrom16([16]byte(octets)))
			octets = octets[16:]
		}
		for _, found := range readPrefixes(answer) {
			carried := 0
			for _, a := range answer {
				if v4, ok := found.Prefix.Extract(a); ok && (v4.As4() == ipv4Only170 || v4.As4() == ipv4Only171) {
					carried++
				}
			}
			require.NotZero(t, carried)
			require.True(t, !found.Paired || carried > 1)
		}
	})
}

func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte{0, 1, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, octets []byte) {
		m := new(dnsmessage.Message)
		if m.Unpack(octets) == nil {
			_ = isAnswer(m, 1)
			_, _ = readAnswer(m, "", time.Time{})
		}
	})
}

func TestReadResolvConf(t *testing.T) {
	servers, err := readResolvConf(strings.NewReader("# comment\nsearch example.org\nnameserver 2001:db8::53\n nameserver\tfe80::1%eth0 \nnameserver 192.0.2.53\nnameserver nonsense\nnameserver ::1\n"))
	require.NoError(t, err)
	require.Equal(t, []string{"[2001:db8::53]:53", "[fe80::1%eth0]:53", "192.0.2.53:53"}, servers)
}

// resolver answers each AAAA query on loopback with the addresses, first
// truncated over UDP.
func resolver(t *testing.T, answer func() (rcode dnsmessage.RCode, ttl uint32, addrs []netip.Addr)) string {
	t.Helper()
	tcp, err := net.Listen("tcp", "[::1]:0")
	require.NoError(t, err)
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	require.NoError(t, err)
	respond := func(query []byte, truncate bool) []byte {
		var m dnsmessage.Message
		if m.Unpack(query) != nil {
			return nil
		}
		rcode, ttl, addrs := answer()
		m.Response, m.RCode, m.Truncated, m.Additionals = true, rcode, truncate, nil
		for _, a := range addrs {
			if !truncate {
				header := dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Type: dnsmessage.TypeAAAA, Class: dnsmessage.ClassINET, TTL: ttl}
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
			}
		}
		packed, err := m.Pack()
		if err != nil {
			panic(err)
		}
		return packed
	}
	done := make(chan struct{}, 2)
	go func() {
		defer func() { done <- struct{}{} }()
		buf := make([]byte, 1500)
		for {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = udp.WriteTo([]byte("junk"), from)
			_, _ = udp.WriteTo(respond(buf[:n], true), from)
		}
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			if query, err := receive(conn, true); err == nil {
				packed := respond(query, false)
				_, _ = conn.Write(append([]byte{byte(len(packed) >> 8), byte(len(packed))}, packed...))
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() { udp.Close(); tcp.Close(); <-done; <-done })
	return tcp.Addr().String()
}

func nobody(ctx context.Context, _ chan<- advertised) error {
	<-ctx.Done()
	return nil
}

func TestDiscoverOverDNS(t *testing.T) {
	var rcode atomic.Uint32
	server := resolver(t, func() (dnsmessage.RCode, uint32, []netip.Addr) {
		return dnsmessage.RCode(rcode.Load()), 60, addrs("2001:db8:64::c000:aa", "2001:db8:64::c000:ab")
	})
	d := &Discoverer{Servers: []string{"[::1]:1", server}, listen: nobody, Wait: time.Millisecond}
	found, err := d.Discover(t.Context())
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, MustParsePrefix("2001:db8:64::/96"), found[0].Prefix)
	require.Equal(t, DNS64Answer, found[0].Source)
	require.True(t, found[0].Paired)
	require.Equal(t, server, found[0].From)
	require.InDelta(t, 60, time.Until(found[0].Expires).Seconds(), 5)

	rcode.Store(uint32(dnsmessage.RCodeServerFailure))
	_, err = d.Discover(t.Context())
	require.ErrorContains(t, err, "ServerFailure")
	require.NotErrorIs(t, err, ErrNoPrefix)
	again, err := d.Prefixes(t.Context())
	require.Error(t, err)
	require.Empty(t, again)

	none := resolver(t, func() (dnsmessage.RCode, uint32, []netip.Addr) { return dnsmessage.RCodeNameError, 60, nil })
	_, err = (&Discoverer{Servers: []string{none}, listen: nobody, Wait: time.Millisecond}).Discover(t.Context())
	require.ErrorIs(t, err, ErrNoPrefix)
}

func TestDiscoverPrefersRouters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router := MustParsePrefix("2001:db8:1::/96")
		d := &Discoverer{
			listen: func(ctx context.Context, events chan<- advertised) error {
				time.Sleep(time.Second)
				select {
				case events <- advertised{router, time.Minute, "fe80::1%eth0"}:
				case <-ctx.Done():
				}
				<-ctx.Done()
				return nil
			},
			query: func(context.Context) ([]Found, error) {
				time.Sleep(1500 * time.Millisecond)
				return []Found{{WellKnown(), DNS64Answer, time.Now().Add(time.Minute), true, "dns"}}, nil
			},
		}
		found, err := d.Discover(t.Context())
		require.NoError(t, err)
		require.Len(t, found, 2)
		require.Equal(t, router, found[0].Prefix, "RFC 9872")
		require.Equal(t, WellKnown(), found[1].Prefix)

		d.query = func(context.Context) ([]Found, error) { return nil, errors.New("no resolver") }
		found, err = d.Discover(t.Context())
		require.NoError(t, err, "the router comes within Wait")
		require.Equal(t, router, found[0].Prefix)
		d.Wait = time.Millisecond
		_, err = d.Discover(t.Context())
		require.ErrorContains(t, err, "no resolver")
	})
}

// A router that speaks just after the DNS is heard; nobody waits long for one.
func TestDiscoverWaitsForRouters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router := MustParsePrefix("2001:db8:1::/96")
		var late atomic.Int64
		d := &Discoverer{
			listen: func(ctx context.Context, events chan<- advertised) error {
				select {
				case <-time.After(time.Duration(late.Load())):
				case <-ctx.Done():
					return nil
				}
				select {
				case events <- advertised{router, time.Minute, "fe80::1%eth0"}:
				case <-ctx.Done():
				}
				<-ctx.Done()
				return nil
			},
			query: func(context.Context) ([]Found, error) {
				return []Found{{WellKnown(), DNS64Answer, time.Now().Add(time.Minute), true, "dns"}}, nil
			},
		}
		late.Store(int64(50 * time.Millisecond))
		found, err := d.Discover(t.Context())
		require.NoError(t, err)
		require.Equal(t, router, found[0].Prefix)
		require.Len(t, found, 2)
		late.Store(int64(time.Minute))
		started := time.Now()
		found, err = d.Discover(t.Context())
		require.NoError(t, err)
		require.Equal(t, WellKnown(), found[0].Prefix)
		require.Equal(t, routerWait, time.Since(started))
	})
}

// Many ask, one discovers, and who gives up does not wait.
func TestPrefixesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var queries atomic.Int32
		d := &Discoverer{listen: nobody, query: func(context.Context) ([]Found, error) {
			queries.Add(1)
			time.Sleep(time.Second)
			return []Found{{WellKnown(), DNS64Answer, time.Now().Add(time.Minute), true, "dns"}}, nil
		}}
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() {
				found, err := d.Prefixes(t.Context())
				require.NoError(t, err)
				require.Len(t, found, 1)
			})
		}
		synctest.Wait()
		hasty, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := d.Prefixes(hasty)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		group.Wait()
		require.EqualValues(t, 1, queries.Load())
		time.Sleep(2 * time.Minute)
		_, err = d.Prefixes(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 2, queries.Load(), "it had expired")
		time.Sleep(55 * time.Second)
		started := time.Now()
		_, err = d.Prefixes(t.Context())
		require.NoError(t, err)
		require.Zero(t, time.Since(started), "it is still good, and asked for again")
		time.Sleep(2 * time.Second)
		require.EqualValues(t, 3, queries.Load())
	})
}

// Who gives up leaves the discovery to who comes next.
func TestPrefixesOutliveTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Discoverer{listen: nobody, query: func(ctx context.Context) ([]Found, error) { return nil, ErrNoPrefix }}
		for range 4 { // with Wait at 2 s
			ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond)
			_, err := d.Prefixes(ctx)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				require.ErrorIs(t, err, ErrNoPrefix)
				return
			}
		}
		t.Fatal("nobody ever learns that there is no prefix")
	})
}

// silent is a network that does not say whether it has a NAT64, for a while.
func silent() *Discoverer {
	return &Discoverer{listen: nobody, query: func(ctx context.Context) ([]Found, error) {
		select {
		case <-time.After(20 * time.Second):
		case <-ctx.Done():
		}
		return nil, ErrNoPrefix
	}}
}

// Nothing that IPv4 reaches waits for prefixes, and a guard judges it without them.
func TestDialerDoesNotWait(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for name, d := range map[string]*Dialer{
		"guard":   {Dialer: &net.Dialer{Timeout: time.Second}, Discoverer: silent(), Guard: &Guard{Allow: loopback}},
		"timeout": {Dialer: &net.Dialer{Timeout: time.Second}, Discoverer: silent()},
	} {
		for _, host := range []string{"127.0.0.1", "localhost"} {
			_, port, err := net.SplitHostPort(l.Addr().String())
			require.NoError(t, err)
			conn, err := d.DialContext(t.Context(), "tcp4", net.JoinHostPort(host, port))
			require.NoError(t, err, "%s %s", name, host)
			conn.Close()
		}
		six := &lookup{v6: addrs("2606:4700::1")}
		choose := func() ([]target, error) { return []target{{addr: addr("192.0.2.1")}}, nil }
		require.Nil(t, d.soon("tcp", six, true, choose), "known")
		require.Nil(t, d.soon("tcp", six, false, func() ([]target, error) { return nil, ErrNoPrefix }), "nothing without them")
		require.NotNil(t, d.soon("tcp", six, false, choose))
	}
}

// A dial that succeeds does not end the discovery that it began.
func TestDialerLearns(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	answer := make(chan struct{})
	d := &Dialer{Dialer: &net.Dialer{Timeout: time.Minute}, Guard: &Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
	d.Discoverer = &Discoverer{listen: nobody, Wait: time.Millisecond, query: func(ctx context.Context) ([]Found, error) {
		select {
		case <-answer:
			return []Found{{WellKnown(), DNS64Answer, time.Now().Add(time.Minute), true, "dns"}}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	conn, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	conn.Close()
	close(answer)
	require.Eventually(t, func() bool { _, fresh, _ := d.Discoverer.remembered(); return fresh }, 10*time.Second, time.Millisecond)
	require.Equal(t, []Prefix{WellKnown()}, d.prefixes())
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two, router := MustParsePrefix("2001:db8:1::/96"), MustParsePrefix("2001:db8:2::/96"), MustParsePrefix("2001:db8:3::/96")
		var now atomic.Value // Prefix
		var failing atomic.Bool
		var queries atomic.Int32
		now.Store(one)
		events := make(chan advertised)
		d := &Discoverer{
			listen: func(ctx context.Context, out chan<- advertised) error {
				for {
					select {
					case e := <-events:
						select {
						case out <- e:
						case <-ctx.Done():
						}
					case <-ctx.Done():
						return nil
					}
				}
			},
			query: func(context.Context) ([]Found, error) {
				queries.Add(1)
				if failing.Load() {
					return nil, errors.New("timeout")
				}
				return []Found{{now.Load().(Prefix), DNS64Answer, time.Now().Add(100 * time.Second), true, "dns"}}, nil
			},
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		type event struct {
			found []Found
			err   error
			at    time.Duration
		}
		start := time.Now()
		yielded := make(chan event, 100)
		go func() {
			for found, err := range d.Watch(ctx) {
				yielded <- event{found, err, time.Since(start)}
			}
			close(yielded)
		}()
		expect := func(at time.Duration, prefixes ...Prefix) {
			e := <-yielded
			require.NoError(t, e.err)
			require.Equal(t, at, e.at)
			var got []Prefix
			for _, f := range e.found {
				got = append(got, f.Prefix)
			}
			require.Equal(t, prefixes, got)
			known, err := d.Prefixes(ctx)
			if len(prefixes) == 0 {
				require.ErrorIs(t, err, ErrNoPrefix)
				return
			}
			require.NoError(t, err)
			require.Equal(t, e.found, known, "without asking")
		}
		expect(0, one)
		time.Sleep(95 * time.Second)
		synctest.Wait()
		require.EqualValues(t, 2, queries.Load(), "refreshed 10 s before the TTL ended")
		require.Empty(t, yielded, "nothing changed")
		now.Store(two)
		expect(180*time.Second, two)
		time.Sleep(time.Second)
		events <- advertised{router, 16 * time.Second, "r"}
		expect(181*time.Second, router, two)
		events <- advertised{one, time.Minute, "r"}
		expect(181*time.Second, router, one, two)
		events <- advertised{router, 16 * time.Second, "r"} // said again
		events <- advertised{one, 0, "r"}
		expect(181*time.Second, router, two)
		events <- advertised{router, 0, "r"}
		expect(181*time.Second, two)
		events <- advertised{router, 16 * time.Second, "r"}
		expect(181*time.Second, router, two)
		expect(197*time.Second, two) // expired
		failing.Store(true)
		e := <-yielded
		require.ErrorContains(t, e.err, "not refreshed")
		require.Len(t, e.found, 1, "still known")
		for e.err != nil || len(e.found) > 0 { // until it has expired
			e = <-yielded
		}
		failing.Store(false)
		now.Store(one)
		for e.err != nil || len(e.found) == 0 {
			e = <-yielded
		}
		require.Equal(t, one, e.found[0].Prefix)
		cancel()
		for range yielded {
		}
	})
}

func TestDialerLiterals(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	require.NoError(t, err)
	defer l.Close()
	var d Dialer
	conn, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	conn.Close()
	four, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer four.Close()
	conn, err = d.DialContext(t.Context(), "tcp", four.Addr().String())
	require.NoError(t, err, "a route: as ever")
	conn.Close()
	_, err = d.DialContext(t.Context(), "tcp4", l.Addr().String())
	require.Error(t, err, "an IPv6 literal is no IPv4 host")

	d.Table, d.Guard = TableOf(MustParsePrefix("2001:db8:64::/96")), new(Guard)
	for _, address := range []string{l.Addr().String(), four.Addr().String(), "[2001:db8:64::a9fe:a9fe]:80", "[::ffff:127.0.0.1]:80", "169.254.169.254:80", "localhost:80"} {
		_, err = d.DialContext(t.Context(), "tcp", address)
		var forbidden *ForbiddenError
		require.ErrorAs(t, err, &forbidden, address)
	}
	unknown := &Dialer{Guard: new(Guard), Discoverer: &Discoverer{listen: nobody, Wait: time.Millisecond, query: func(context.Context) ([]Found, error) {
		return nil, errors.New("no answer")
	}}}
	_, err = unknown.DialContext(t.Context(), "tcp", "[2606:4700::1]:80")
	require.ErrorContains(t, err, "is not known", "it could be in a prefix")
}

// Answers of a DNS64 count as IPv4, and go behind real IPv6 addresses.
func TestChoose(t *testing.T) {
	prefix := MustParsePrefix("2001:db8:64::/96")
	known := carriers{tables: []*Table{TableOf(prefix)}, prefixes: []Prefix{prefix}}
	var d Dialer
	v6, v4 := d.desynthesize(known, addrs("2001:db8:64::c633:6401", "2001:db8::1", "2001:db8:64::7f00:1", "2001:db8::2"), addrs("198.51.100.2"))
	require.Equal(t, addrs("2001:db8::1", "2001:db8::2"), v6)
	require.Equal(t, addrs("198.51.100.2", "198.51.100.1"), v4, "never 127.0.0.1")
	targets, err := d.choose("tcp6", "h", known, v6, v4) // over IPv6 only
	require.NoError(t, err)
	require.Equal(t, []target{
		{addr: addr("2001:db8::1")}, {addr("2001:db8:64::c633:6402"), addr("198.51.100.2")},
		{addr: addr("2001:db8::2")}, {addr("2001:db8:64::c633:6401"), addr("198.51.100.1")},
	}, targets)
	_, err = d.choose("tcp6", "h", carriers{err: ErrNoPrefix}, nil, v4)
	require.ErrorIs(t, err, ErrNoPrefix)
}

func BenchmarkDialIPv6Literal(b *testing.B) {
	l, err := net.Listen("tcp", "[::1]:0")
	require.NoError(b, err)
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	addr := l.Addr().String()
	dial := func(dial func(context.Context, string, string) (net.Conn, error)) func(*testing.B) {
		return func(b *testing.B) {
			for b.Loop() {
				conn, err := dial(b.Context(), "tcp", addr)
				if err != nil {
					b.Fatal(err)
				}
				_ = conn.(*net.TCPConn).SetLinger(0)
				conn.Close()
			}
		}
	}
	b.Run("net.Dialer", dial(new(net.Dialer).DialContext))
	b.Run("nat64.Dialer", dial(new(Dialer).DialContext))
	// What is in front of net.Dialer, without the noise of the kernel's part: the context has ended.
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	refused := func(dial func(context.Context, string, string) (net.Conn, error)) func(*testing.B) {
		return func(b *testing.B) {
			for b.Loop() {
				_, _ = dial(ended, "tcp", addr)
			}
		}
	}
	b.Run("net.Dialer/ended", refused(new(net.Dialer).DialContext))
	b.Run("nat64.Dialer/ended", refused(new(Dialer).DialContext))
}
