package nat64_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/nat64"
	"github.com/berryrack/berryrack/nat64/check"
	"github.com/berryrack/berryrack/nat64/dns64"
	"github.com/berryrack/berryrack/nat64/internal/nstest"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The path: this IPv6-only machine, a translator (TAYGA and a masquerading
// nftables) with our dns64 on it, and an IPv4-only server.
const (
	patience   = 20 * time.Second
	serverIPv4 = "198.51.100.80"
	xlatIPv4   = "198.51.100.1"
	xlatIPv6   = "fd00:c::1"
	firstNet   = "2001:db8:64::/96"
	secondNet  = "2001:db8:65::/96"
)

// path is the translator's side, which the test changes.
type path struct {
	t       *testing.T
	tayga   *exec.Cmd
	prefix  string
	handler atomic.Pointer[dns64.Handler]
}

// names are what upstream knows.
type names map[string][]string

func (n names) Exchange(_ context.Context, query *dns.Msg) (*dns.Msg, error) {
	answer := new(dns.Msg).SetReply(query)
	q := query.Question[0]
	if q.Name == "slow.example." && q.Qtype == dns.TypeA {
		time.Sleep(300 * time.Millisecond) // a slow name server: long after the AAAA records, which are wrong
	}
	known := false
	for _, record := range n[strings.ToLower(q.Name)] {
		known = true
		rr, err := dns.NewRR(q.Name + " 60 " + record)
		if err != nil {
			return nil, err
		}
		if rr.Header().Rrtype == q.Qtype {
			answer.Answer = append(answer.Answer, rr)
		}
	}
	if !known {
		answer.Rcode = dns.RcodeNameError
	}
	return answer, nil
}

func buildPath(t *testing.T) *path {
	t.Helper()
	nstest.Add(t, "xlat", "server")
	nstest.Link(t, nstest.Here, "eth0", []string{"fd00:c::2/64"}, "xlat", "six", []string{xlatIPv6 + "/64"})
	nstest.Link(t, "xlat", "four", []string{xlatIPv4 + "/24"}, "server", "eth0", []string{serverIPv4 + "/24"})
	nstest.IP(t, nstest.Here, "-6", "route", "add", "default", "via", xlatIPv6)
	for _, key := range []string{"net/ipv4/conf/all/forwarding", "net/ipv6/conf/all/forwarding"} {
		nstest.Run(t, "xlat", "sh", "-c", "echo 1 > /proc/sys/"+key)
	}
	nstest.Run(t, "xlat", "nft", "add table ip nat; add chain ip nat post { type nat hook postrouting priority srcnat; }; add rule ip nat post oifname four masquerade")
	nstest.IP(t, "xlat", "-6", "route", "add", "blackhole", "2001:db8:dead::/48")
	p := &path{t: t}
	p.translate(firstNet)

	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RemoteAddr) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) { _, _ = io.CopyN(w, zeros{}, 10<<20) })
	web := &http.Server{Handler: mux}
	l := nstest.Listen(t, "server", "tcp4", serverIPv4+":80")
	go func() { _ = web.Serve(l) }()
	t.Cleanup(func() { web.Close() })
	p.resolve()
	return p
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// translate makes prefix the one that the translator has, and the only one.
func (p *path) translate(prefix string) {
	t := p.t
	t.Helper()
	if p.tayga != nil {
		require.NoError(t, p.tayga.Process.Kill())
		_ = p.tayga.Wait()
		nstest.IP(t, "xlat", "link", "del", "nat64")
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "tayga.conf")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil,
		"tun-device nat64\nipv4-addr 192.168.255.1\nprefix %s\ndynamic-pool 192.168.255.0/24\ndata-dir %s\n", prefix, dir), 0o644))
	nstest.Run(t, "xlat", "tayga", "--config", config, "--mktun")
	nstest.IP(t, "xlat", "link", "set", "nat64", "up")
	nstest.IP(t, "xlat", "route", "add", "192.168.255.0/24", "dev", "nat64")
	nstest.IP(t, "xlat", "-6", "route", "add", prefix, "dev", "nat64")
	p.tayga = exec.CommandContext(t.Context(), "ip", "netns", "exec", "xlat", lab.Program(t, "tayga"), "--config", config, "-d")
	require.NoError(t, p.tayga.Start())
	t.Cleanup(func() { _ = p.tayga.Process.Kill(); _ = p.tayga.Wait() })
	h := &dns64.Handler{
		Table: nat64.TableOf(nat64.MustParsePrefix(prefix)), Allow: []netip.Prefix{netip.MustParsePrefix("fd00:c::/64")},
		Upstream: names{
			"server.example.": {"A " + serverIPv4},
			"broken.example.": {"A " + serverIPv4, "AAAA 2001:db8:dead::1"},
			"legacy.example.": {"A " + serverIPv4},
			"slow.example.":   {"A " + serverIPv4, "AAAA 2001:db8:dead::1"},
		},
		OptOut: []string{"legacy.example"},
	}
	p.handler.Store(h)
	p.prefix = prefix
}

// resolve serves the handler in use on the translator.
func (p *path) resolve() {
	t := p.t
	tcp := nstest.Listen(t, "xlat", "tcp6", "["+xlatIPv6+"]:53")
	var udp net.PacketConn
	require.NoError(t, nstest.In("xlat", func() (err error) {
		udp, err = net.ListenPacket("udp6", "["+xlatIPv6+"]:53")
		return err
	}))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	server := &dns64.Server{Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) { p.handler.Load().ServeDNS(w, m) })}
	go func() { ended <- server.Serve(ctx, udp, tcp) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-ended) })
}

// client returns an HTTP client that has nothing but our Dialer.
func client(d *nat64.Dialer) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}
}

func dialer() *nat64.Dialer {
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, "["+xlatIPv6+"]:53")
	}}
	return &nat64.Dialer{
		Dialer:     &net.Dialer{Resolver: resolver},
		Discoverer: &nat64.Discoverer{Servers: []string{"[" + xlatIPv6 + "]:53"}},
	}
}

func get(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	response, err := c.Get(url)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(body)
}

func TestThroughTAYGA(t *testing.T) {
	lab.Need(t, "tayga", "nft")
	if !lab.Isolated(t) {
		return
	}
	p := buildPath(t)
	d := dialer()
	c := client(d)
	// The server sees the translator, as it would see any IPv4 client.
	for _, url := range []string{
		"http://" + serverIPv4 + "/", "http://[::ffff:" + serverIPv4 + "]/", "http://server.example/", "http://legacy.example/", "http://broken.example/", "http://slow.example/",
	} {
		host, _, err := net.SplitHostPort(get(t, c, url))
		require.NoError(t, err)
		require.Equal(t, xlatIPv4, host, url)
	}
	_, err := net.Dial("tcp", serverIPv4+":80")
	require.ErrorIs(t, err, unix.ENETUNREACH, "this machine has no IPv4")
	// With a guard, what is not public is refused although it is in reach.
	guarded := dialer()
	guarded.Guard = &nat64.Guard{}
	_, err = client(guarded).Get("http://[2001:db8:64::" + serverIPv4 + "]/")
	require.ErrorContains(t, err, "leads to "+serverIPv4)

	t.Run("MTU", func(t *testing.T) {
		nstest.IP(t, nstest.Here, "link", "set", "eth0", "mtu", "1280")
		nstest.IP(t, "xlat", "link", "set", "six", "mtu", "1280")
		response, err := c.Get("http://" + serverIPv4 + "/large")
		require.NoError(t, err)
		defer response.Body.Close()
		n, err := io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		require.EqualValues(t, 10<<20, n)
	})
	t.Run("check", func(t *testing.T) {
		report := (&check.Checker{Dialer: d, URL: "http://server.example/large"}).Check(t.Context())
		require.True(t, report.OK(), "\n%v", report)
		text := report.String()
		require.Contains(t, text, "IPv6 route, no IPv4 route")
		require.Contains(t, text, "2001:db8:64::/96 from DNS64")
		require.Contains(t, text, "1048576 octets")
		require.Contains(t, text, "path MTU 1280")
		t.Log("\n" + text)
		broken := (&check.Checker{Dialer: d, URL: "http://192.0.2.99/"}).Check(t.Context())
		require.False(t, broken.OK())
	})
	t.Run("dual stack", func(t *testing.T) {
		// With IPv4 of its own, this machine uses it: the DNS64's answers do not go before it.
		nstest.Link(t, nstest.Here, "eth1", []string{"203.0.113.9/24"}, "server", "eth1", []string{"203.0.113.80/24"})
		nstest.IP(t, nstest.Here, "route", "add", serverIPv4+"/32", "via", "203.0.113.80")
		nstest.IP(t, "server", "route", "add", "default", "via", "203.0.113.9")
		for _, url := range []string{"http://" + serverIPv4 + "/", "http://server.example/", "http://legacy.example/"} {
			host, _, err := net.SplitHostPort(get(t, c, url))
			require.NoError(t, err)
			require.Equal(t, "203.0.113.9", host, url)
		}
		nstest.IP(t, nstest.Here, "link", "del", "eth1")
	})
	t.Run("prefix changes", func(t *testing.T) {
		p.translate(secondNet)
		// What was discovered a moment ago is believed for a second.
		require.Eventually(t, func() bool {
			response, err := c.Get("http://" + serverIPv4 + "/")
			if err == nil {
				response.Body.Close()
			}
			return err == nil
		}, patience, 50*time.Millisecond)
		found, err := d.Discoverer.Prefixes(t.Context())
		require.NoError(t, err)
		require.Equal(t, secondNet, found[0].Prefix.String())
	})
}

// advertise sends a Router Advertisement with PREF64 options from the translator.
func advertise(t *testing.T, options ...[16]byte) {
	t.Helper()
	message := []byte{134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0}
	for _, option := range options {
		message = append(message, option[:]...)
	}
	require.NoError(t, nstest.In("xlat", func() error {
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		device, err := net.InterfaceByName("six")
		if err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255); err != nil {
			return err
		}
		return unix.Sendto(fd, message, 0, &unix.SockaddrInet6{Addr: netip.MustParseAddr("ff02::1").As16(), ZoneId: uint32(device.Index)})
	}))
}

// The kernel hands PREF64 options to anybody: no privilege is needed.
func TestWatchRouters(t *testing.T) {
	if !lab.Isolated(t) {
		return
	}
	nstest.Add(t, "xlat")
	nstest.Link(t, nstest.Here, "eth0", []string{"fd00:c::2/64"}, "xlat", "six", []string{xlatIPv6 + "/64"})
	require.Eventually(t, func() bool { // a router speaks from its link-local address
		return !strings.Contains(nstest.IP(t, "xlat", "address", "show", "dev", "six", "tentative"), "fe80") &&
			strings.Contains(nstest.IP(t, "xlat", "address", "show", "dev", "six"), "fe80")
	}, patience, 10*time.Millisecond)
	one, two := nat64.MustParsePrefix("2001:db8:1:2::/64"), nat64.WellKnown()
	option := func(p nat64.Prefix, lifetime time.Duration) [16]byte {
		o, err := p.PREF64(lifetime)
		require.NoError(t, err)
		return o
	}
	ctx, cancel := context.WithCancel(t.Context())
	type event struct {
		found []nat64.Found
		err   error
	}
	events := make(chan event, 100)
	d := &nat64.Discoverer{Servers: []string{"[::1]:1"}}
	go func() {
		defer close(events)
		for found, err := range d.Watch(ctx) {
			events <- event{found, err}
		}
	}()
	listenAsNobody(ctx, t, func() { advertise(t, option(one, 10*time.Minute), option(two, time.Minute)) })
	// say advertises until Watch has seen the prefixes.
	say := func(options [][16]byte, want ...nat64.Prefix) {
		t.Helper()
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
			advertise(t, options...)
			select {
			case e := <-events:
				var got []nat64.Prefix
				for _, f := range e.found {
					got = append(got, f.Prefix)
				}
				if slices.Equal(got, want) {
					return
				}
			case <-time.After(100 * time.Millisecond):
			}
		}
		require.FailNow(t, "never saw", "%v", want)
	}
	say([][16]byte{option(one, 10*time.Minute), option(two, time.Minute)}, one, two)
	say([][16]byte{option(one, 0)}, two)
	say([][16]byte{option(two, time.Second), option(two, 0)}) // a second becomes 8, which is no withdrawal
	cancel()
	for range events {
	}
}

// listenAsNobody does what Watch does, as a user without privileges, until a
// prefix has come.
func listenAsNobody(ctx context.Context, t *testing.T, advertise func()) {
	t.Helper()
	type result struct {
		found []nat64.Found
		err   error
	}
	results := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: nothing else may run as nobody
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
			results <- result{err: errno}
			return
		}
		if _, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6); err != unix.EPERM {
			results <- result{err: fmt.Errorf("this user can do more than an ordinary one: %v", err)}
			return
		}
		found, err := nat64.ListenHere(ctx)
		results <- result{found, err}
	}()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		advertise()
		select {
		case r := <-results:
			require.NoError(t, r.err)
			require.Equal(t, nat64.RouterAdvertisement, r.found[0].Source)
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	require.FailNow(t, "no prefix came")
}
