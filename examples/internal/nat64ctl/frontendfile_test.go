package nat64ctl

import (
	"net/netip"
	"testing"
	"time"

	"github.com/berryrack/berryrack/nat64"
	"github.com/berryrack/berryrack/nat64/frontend"
	"github.com/stretchr/testify/require"
)

func TestReadFrontend(t *testing.T) {
	_, err := ReadFrontend("embedded", Frontend)
	require.NoError(t, err)

	config, err := ReadFrontend("frontend.yaml", []byte(`
listen: {tls: ["0.0.0.0:443", "[::]:443"], http: ["0.0.0.0:80", "[::]:80"]}
allow_backends: ["2a00:1098:0:84::/64", "2a00:1098:0:84:1000::/80"]
sites:
  - {names: [www.example.org, "*.example.org"], backends: ["[2a00:1098:0:84:1000:1::2]"], ports: {tls: 443, http: 80}, proxy: v2, health: {tcp: true, interval: 2s}}
`))
	require.NoError(t, err)
	require.Equal(t, []frontend.Site{{
		Names: []string{"www.example.org", "*.example.org"}, Backends: []netip.Addr{netip.MustParseAddr("2a00:1098:0:84:1000:1:0:2")},
		Ports: frontend.Ports{TLS: 443, HTTP: 80}, Proxy: frontend.ProxyV2, Health: frontend.Health{TCP: true, Interval: 2 * time.Second},
	}}, config.Sites)
}

// What the frontend's package writes is what is read.
func TestFrontendYAML(t *testing.T) {
	config := frontend.Config{
		Listen:       frontend.Listen{TLS: []string{"[::]:443"}, HTTP: []string{"0.0.0.0:80"}},
		Allow:        []netip.Prefix{netip.MustParsePrefix("2001:db8::/64")},
		SourcePrefix: nat64.MustParsePrefix("2001:db8:46::/96"),
		Limits: frontend.Limits{
			Connections: 9, PerClient: 8, Hello: time.Second, HelloSize: 7000, Connect: 2 * time.Second, Idle: time.Hour, Drain: time.Minute,
		},
		Sites: []frontend.Site{
			{Names: []string{"*"}, Backends: []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")},
				Ports: frontend.Ports{TLS: 8443, HTTP: 8080}, Proxy: frontend.SourceAddress, Health: frontend.Health{TCP: true, Interval: 5 * time.Second}},
			{Names: []string{"a.example"}, Backends: []netip.Addr{netip.MustParseAddr("2001:db8::1")}, Ports: frontend.Ports{TLS: 443, HTTP: 80}, Health: frontend.Health{Interval: 2 * time.Second}},
		},
	}
	got, err := ReadFrontend("frontend.yaml", []byte(config.YAML()))
	require.NoError(t, err, config.YAML())
	require.Equal(t, config, got)
}

func TestReadFrontendRefused(t *testing.T) {
	_, err := ReadFrontend("frontend.yaml", []byte(`listen: {tls: ["443"]}
allow_backends: ["2001:db8::/64"]
colour: red
sites:
  - names: [a.example, "a b"]
    backends: ["[192.0.2.1]", "[2001:db9::1]", "2001:db8::1:443:x"]
    proxy: v1
`))
	for _, want := range []string{
		`frontend.yaml:1:16: listen.tls[0]: "443" is not an address with a port`,
		`frontend.yaml:3:1: unknown key "colour"`,
		`frontend.yaml:5:24: sites[0].names[1]: "a b" is not a DNS name`,
		"frontend.yaml:6:16: sites[0].backends[0]: 192.0.2.1 is not an IPv6 address",
		"frontend.yaml:6:31: sites[0].backends[1]: 2001:db9::1 is not in allow_backends",
		"frontend.yaml:6:48: sites[0].backends[2]:",
		`frontend.yaml:7:12: sites[0].proxy: "v1" is not none, v2 or source`,
	} {
		require.ErrorContains(t, err, want)
	}
}

func FuzzReadFrontend(f *testing.F) {
	f.Add(Frontend)
	f.Fuzz(func(t *testing.T, data []byte) {
		config, err := ReadFrontend("frontend.yaml", data)
		if err != nil {
			return
		}
		again, err := ReadFrontend("frontend.yaml", []byte(config.YAML()))
		require.NoError(t, err, config.YAML())
		require.Equal(t, config.YAML(), again.YAML())
	})
}
