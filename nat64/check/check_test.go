package check

import (
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/berryrack/berryrack/nat64"
	"github.com/berryrack/berryrack/nat64/internal/route"
	"github.com/stretchr/testify/require"
)

func TestReport(t *testing.T) {
	report := Report{{"prefix", true, "64:ff9b::/96", 3 * time.Millisecond}, {"path", false, "no route", time.Second}}
	require.False(t, report.OK())
	require.True(t, report[:1].OK())
	require.Equal(t, "prefix   ok     64:ff9b::/96 (3ms)\npath     FAILED no route (1s)\n", report.String())
}

// What does not depend on the network that the test runs in.
func TestCheckConfigured(t *testing.T) {
	nobody := &nat64.Discoverer{Servers: []string{"[::1]:1"}}
	for url, want := range map[string]string{
		"https://192.0.2.1/": "is not a http URL",
		"http://[::1]/":      "::1",
		"http://127.0.0.1/":  "", // carried, and unreachable
	} {
		c := &Checker{Dialer: &nat64.Dialer{Table: nat64.TableOf(nat64.MustParsePrefix("2001:db8:64::/96")), Discoverer: nobody, Dialer: &net.Dialer{Timeout: time.Millisecond}}, URL: url}
		report := c.Check(t.Context())
		require.False(t, report.OK())
		require.Equal(t, "prefix", report[1].Name)
		require.True(t, report[1].OK)
		require.Contains(t, report[1].Detail, "as configured")
		require.Equal(t, "path", report[3].Name)
		require.False(t, report[3].OK)
		require.Contains(t, report[3].Detail, want)
	}
}

func TestTransfer(t *testing.T) {
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(make([]byte, 300000)) })}
	l, err := net.Listen("tcp", "[::1]:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	k := check{c: &Checker{URL: "http://" + l.Addr().String() + "/", Size: 200000}}
	k.conn, err = net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	detail, err := k.transfer(t.Context())
	require.NoError(t, err)
	require.Contains(t, detail, "200000 octets")
	require.True(t, route.Exists(netip.IPv6Loopback()))
}
