package frontend

import (
	"net/netip"
	"testing"
	"time"

	"github.com/berryrack/berryrack/nat64"
	"github.com/stretchr/testify/require"
)

func rack() Config {
	return Config{
		Listen:       Listen{TLS: []string{"0.0.0.0:443", "[::]:443"}, HTTP: []string{"0.0.0.0:80"}},
		Allow:        []netip.Prefix{netip.MustParsePrefix("2001:db8:84::/64")},
		SourcePrefix: nat64.MustParsePrefix("2001:db8:46::/96"),
		Limits:       Limits{Connections: 9000, Idle: time.Hour},
		Sites: []Site{
			{Names: []string{"www.example.org", "*.example.org"}, Backends: []netip.Addr{netip.MustParseAddr("2001:db8:84::2"), netip.MustParseAddr("2001:db8:84::3")},
				Proxy: ProxyV2, Health: Health{TCP: true}},
			{Names: []string{"*"}, Backends: []netip.Addr{netip.MustParseAddr("2001:db8:84::4")}, Ports: Ports{TLS: 8443, HTTP: 8080}},
		},
	}
}

func TestYAML(t *testing.T) {
	require.Equal(t, `listen: {tls: ["0.0.0.0:443", "[::]:443"], http: ["0.0.0.0:80"]}
allow_backends: ["2001:db8:84::/64"]
source_prefix: "2001:db8:46::/96"
limits: {connections: 9000, idle: 1h0m0s}
sites:
  - names: ["www.example.org", "*.example.org"]
    backends:
      - "[2001:db8:84::2]"
      - "[2001:db8:84::3]"
    ports: {tls: 443, http: 80}
    proxy: v2
    health: {tcp: true, interval: 2s}
  - names: ["*"]
    backends:
      - "[2001:db8:84::4]"
    ports: {tls: 8443, http: 8080}
    proxy: none
    health: {tcp: false, interval: 2s}
`, rack().YAML())
	require.Contains(t, Config{}.YAML(), "sites: []\n")
}

func TestNginx(t *testing.T) {
	require.Equal(t, `upstream www.example.org_tls {
    least_conn;
    server [2001:db8:84::2]:443;
    server [2001:db8:84::3]:443;
}
upstream www.example.org_http {
    least_conn;
    server [2001:db8:84::2]:80;
    server [2001:db8:84::3]:80;
}
`, rack().Sites[0].Nginx())
}

func TestHAProxy(t *testing.T) {
	require.Equal(t, `backend any_tls
    mode tcp
    balance leastconn
    server s1 [2001:db8:84::4]:8443
backend any_http
    mode http
    balance leastconn
    option forwardfor
    server s1 [2001:db8:84::4]:8080
`, rack().Sites[1].HAProxy())
}
