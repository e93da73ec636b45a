package nat64

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// operator is the guard of a network with NAT64 prefixes of its own, and a
// service of its own that programs may reach.
func operator() *Guard {
	return &Guard{
		Prefixes: []Prefix{
			MustParsePrefix("2001:67c:64::/96"), MustParsePrefix("2a00:1099:2b::/64"), MustParsePrefix("2a00:1098::/40"),
			MustParsePrefix("64:ff9b:1:aaaa::/64"),
		},
		Allow: []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16"), netip.MustParsePrefix("fd00:20::/32")},
		Deny:  []netip.Prefix{netip.MustParsePrefix("203.1.1.0/24"), netip.MustParsePrefix("2a00:1098:dead::/48")},
	}
}

// Each is a way that was tried on a guard somewhere: plain addresses, each
// embedding with each kind of target, decoys in another layout's place, octet
// 8 and suffixes that a strict decoder stumbles over, zones, and operator
// prefixes.
var bypasses = []string{
	// IPv4 and its IPv6 spelling.
	"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1", "192.0.0.192",
	"192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
	"::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::ffff:10.0.0.1", "::ffff:0.0.0.0", "::ffff:192.168.0.1%eth0",
	// IPv6 that is not public.
	"::", "::1", "::1%lo", "fe80::1", "fe80::a9fe:a9fe%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "fd7a:115c:a1e0:b1a:0:1:a00:1",
	"ff02::1", "ff0e::1", "100::1", "2001:db8::1", "3fff::1", "5f00::1", "2001:2::1", "2001:10::1", "2001:1::4", "4000::1",
	// Embeddings that were given up.
	"::127.0.0.1", "::a9fe:a9fe", "::8.8.8.8", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8",
	// Tunnels.
	"2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:a00:1:ffff::1", "2002:c0a8:101::", "2001:0:a9fe:a9fe::f7f7:f7f7",
	"2001:0:808:808:0:0:80ff:fffe", "2001:0:808:808::5601:5601", "2a00:1450::5efe:a9fe:a9fe", "2a00:1450::200:5efe:10.0.0.1",
	"2a00:1450::5efe:127.0.0.1%eth0", "2a00:1450::5efe:192.168.0.1",
	// The Well-Known Prefix.
	"64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1", "64:ff9b::0.0.0.0", "64:ff9b::192.168.1.1", "64:ff9b::100.64.0.1",
	"64:ff9b::255.255.255.255", "64:ff9b::a9fe:a9fe%eth0", "64:ff9b::224.0.0.1", "64:ff9b::203.1.1.9",
	// Near it, and no prefix at all.
	"64:ff9b:0:1::a9fe:a9fe", "64:ff9b:0:0:1::808:808", "64:ff9a::808:808", "64:ff9b:2::808:808",
	// The local-use prefix: target in one layout, decoys in the others.
	"64:ff9b:1::a9fe:a9fe", "64:ff9b:1::8.8.8.8", "64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1:a9fe:a9:fe00:808:808", "64:ff9b:1:fffe::127.0.0.1",
	"64:ff9b:1:0808:a9:fea9:fe08:808", "64:ff9b:1:800:8:808:808:808", "64:ff9b:1:808:7f:1:808:808", "64:ff9b:1:fffe::8.8.8.8",
	// The operator's own prefixes, which nobody else can know.
	"2001:67c:64::127.0.0.1", "2001:67c:64::a9fe:a9fe", "2001:67c:64::10.0.0.1", "2001:67c:64::203.1.1.1",
	"2a00:1099:2b:0:a9:fea9:fe00::", "2a00:1099:2b:0:a9:fea9:fe08:808", "2a00:1099:2b:0:ffa9:fea9:fe00:0",
	"2a00:1099:2b:0:7f:0:100::", "2a00:1098:a9:fea9:fe::", "2a00:1098:7f:0:1:808:808:808", "2a00:1098:7f:0:ff01:1:2:3",
	"64:ff9b:1:aaaa:a9:fea9:fe00::", "64:ff9b:1:aaaa:0a:1:0::", "64:ff9b:1:aaab::8.8.8.8",
	// Refused though public.
	"203.1.1.1", "::ffff:203.1.1.1", "2a00:1098:dead::1", "2002:cb01:101::1",
}

var legitimate = []string{
	"8.8.8.8", "1.1.1.1", "192.0.0.9", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "192.31.196.1", "::ffff:8.8.8.8",
	"2001:4860:4860::8888", "2606:4700:4700::1111", "2a00:1450:4009::200e", "2620:fe::fe", "2001:1::1", "2001:4:112::1", "2001:200::1",
	"64:ff9b::8.8.8.8", "2002:808:808::1", "2001:0:808:808::f7f7:f7f7", "2a00:1450::5efe:8.8.8.8",
	// The operator's.
	"2001:67c:64::8.8.8.8", "2a00:1099:2b:0:8:808:800::", "2a00:1098:8:808:8::", "64:ff9b:1:aaaa:8:808:800::",
	"10.20.1.1", "fd00:20::1", "2001:67c:64::10.20.1.1", "::ffff:10.20.0.1",
}

func TestGuard(t *testing.T) {
	g := operator()
	require.GreaterOrEqual(t, len(bypasses), 60)
	for _, text := range bypasses {
		err := g.Check(addr(text))
		var forbidden *ForbiddenError
		require.ErrorAs(t, err, &forbidden, text)
		require.ErrorContains(t, err, text[:2])
		require.ErrorAs(t, g.Control("tcp6", netip.AddrPortFrom(addr(text), 80).String(), nil), &forbidden, text)
	}
	require.GreaterOrEqual(t, len(legitimate), 20)
	for _, text := range legitimate {
		require.NoError(t, g.Check(addr(text)), text)
	}
	require.Error(t, g.Check(netip.Addr{}))
	require.Error(t, g.Control("tcp", "localhost:80", nil))
}

// Without the operator's prefixes nobody can see through them: this is why
// the Dialer adds what it discovered.
func TestGuardNeedsPrefixes(t *testing.T) {
	hidden := addr("2001:67c:64::a9fe:a9fe")
	require.NoError(t, new(Guard).Check(hidden))
	require.Error(t, new(Guard).check(hidden, []Prefix{MustParsePrefix("2001:67c:64::/96")}))
}

func TestGuardEmbedded(t *testing.T) {
	g := new(Guard)
	require.Equal(t, []Embedded{{addr("169.254.169.254"), Translated}}, g.Embedded(addr("64:ff9b::a9fe:a9fe")))
	require.Len(t, g.Embedded(addr("64:ff9b:1::a9fe:a9fe")), 4, "every layout")
	require.Empty(t, g.Embedded(addr("2001:4860:4860::8888")))
	require.ErrorContains(t, g.Check(addr("64:ff9b::a9fe:a9fe")), "64:ff9b::a9fe:a9fe leads to 169.254.169.254 (RFC 6052)")
}

// The loopback address carries no IPv4 address, and can be allowed.
func TestGuardAllowsLoopback(t *testing.T) {
	g := &Guard{Allow: []netip.Prefix{netip.MustParsePrefix("::1/128")}}
	require.NoError(t, g.Check(addr("::1")))
	require.Empty(t, g.Embedded(addr("::")))
	for _, text := range []string{"::", "::2", "127.0.0.1", "::ffff:0.0.0.1"} {
		require.Error(t, g.Check(addr(text)), text)
	}
}

func TestGuardMappedRanges(t *testing.T) {
	g := &Guard{
		Deny:  []netip.Prefix{netip.MustParsePrefix("::ffff:203.1.1.0/120"), netip.MustParsePrefix("::ffff:8.8.8.8/128")},
		Allow: []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")},
	}
	for _, text := range []string{"203.1.1.9", "::ffff:203.1.1.9", "64:ff9b::203.1.1.9", "8.8.8.8", "11.0.0.1", "192.168.0.1"} {
		err := g.Check(addr(text))
		if text == "11.0.0.1" {
			require.NoError(t, err, text)
			continue
		}
		require.Error(t, err, text)
	}
	for _, text := range []string{"10.1.1.1", "::ffff:10.1.1.1", "203.1.2.1"} {
		require.NoError(t, g.Check(addr(text)), text)
	}
}

func TestGuardControl(t *testing.T) {
	d := net.Dialer{Control: new(Guard).Control}
	_, err := d.Dial("tcp", "127.0.0.1:1")
	var forbidden *ForbiddenError
	require.True(t, errors.As(err, &forbidden), "%v", err)
}

// What net.Dialer takes for this machine, or for no address at all, does not
// get past a guard, and the caller's own hooks are still asked.
func TestGuardedDialer(t *testing.T) {
	l, err := net.Listen("tcp", "[::]:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	d := &Dialer{Table: TableOf(WellKnown()), Guard: new(Guard)}
	for _, test := range [][2]string{
		{"tcp", ":" + port}, {"tcp4", ":" + port}, {"tcp6", ":" + port}, {"udp", ":" + port}, {"tcp", "[]:" + port}, {"tcp", "127.0.0.1"},
		{"ip4:icmp", "127.0.0.1"}, {"ip:1", "::1"}, {"unix", "/run/systemd/notify"}, {"unixgram", "a:1"}, {"", ":" + port},
	} {
		_, err := d.DialContext(t.Context(), test[0], test[1])
		require.ErrorContains(t, err, "nat64: guard: ", test)
	}
	d.Table = TableOf(MustParsePrefix("fd00:64::/96")) // not public itself
	require.NoError(t, d.base().ControlContext(t.Context(), "tcp6", "[fd00:64::808:808]:80", nil))
	require.Error(t, d.base().ControlContext(t.Context(), "tcp6", "[fd00:64::a9fe:a9fe]:80", nil))
	refusal := errors.New("the caller's")
	for _, own := range []*net.Dialer{
		{Control: func(string, string, syscall.RawConn) error { return refusal }},
		{ControlContext: func(context.Context, string, string, syscall.RawConn) error { return refusal }},
	} {
		d := &Dialer{Dialer: own, Guard: new(Guard)}
		_, err := d.base().DialContext(t.Context(), "tcp", l.Addr().String())
		var forbidden *ForbiddenError
		require.ErrorAs(t, err, &forbidden)
		d.Guard.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		_, err = d.base().DialContext(t.Context(), "tcp4", "127.0.0.1:"+port)
		require.ErrorIs(t, err, refusal)
	}
}

func FuzzGuard(f *testing.F) {
	for _, text := range append(bypasses, legitimate...) {
		b := addr(text).As16()
		f.Add(b[:])
	}
	g := operator()
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := netip.AddrFromSlice(b)
		if !ok || g.Check(a) != nil {
			return
		}
		// What passes is public itself, or carried by a known prefix.
		for _, e := range g.Embedded(a) {
			require.NoError(t, g.Check(e.IPv4), "%v", a)
		}
		require.False(t, a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified(), "%v", a)
	})
}
