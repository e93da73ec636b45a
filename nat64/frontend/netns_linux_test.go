package frontend

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/nat64"
	"github.com/berryrack/berryrack/nat64/internal/nstest"
	"github.com/stretchr/testify/require"
)

// The ways back: an IPv4-only client, the frontend here, IPv6-only backends.
const (
	clientAddr = "198.51.100.9"
	frontAddr  = "198.51.100.1"
	rackAddr   = "fd00:b::1"
	sourceNet  = "fd00:46::/96"
)

func backendAddr(i int) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("fd00:b::10%d", i)) }

func network3(t *testing.T) {
	t.Helper()
	nstest.Add(t, "client", "rack")
	var addrs []string
	for i := range 8 {
		addrs = append(addrs, backendAddr(i).String()+"/64")
	}
	nstest.Link(t, nstest.Here, "front4", []string{frontAddr + "/24"}, "client", "eth0", []string{clientAddr + "/24"})
	nstest.Link(t, nstest.Here, "front6", []string{rackAddr + "/64"}, "rack", "eth0", addrs)
	nstest.IP(t, "rack", "-6", "route", "add", "default", "via", rackAddr)
	nstest.IP(t, nstest.Here, "-6", "route", "add", "local", sourceNet, "dev", "lo")
}

// serveHere runs a frontend on the client's side, with the listeners of a configuration.
func serveHere(t *testing.T, config Config) *Frontend {
	t.Helper()
	config.Listen = Listen{TLS: []string{frontAddr + ":443"}, HTTP: []string{frontAddr + ":80"}}
	f, err := New(config)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.ListenAndServe(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-ended) })
	require.Eventually(t, func() bool {
		conn, err := nstest.Dial("client")(ctx, "tcp", frontAddr+":443")
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, patience, 10*time.Millisecond)
	return f
}

// client4 is the client's HTTP client: whatever the name, the address is the frontend's.
func client4(pool *x509.CertPool) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: pool},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, _ := net.SplitHostPort(addr)
			return nstest.Dial("client")(ctx, network, net.JoinHostPort(frontAddr, port))
		},
	}}
}

func get(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	response, err := c.Get(url)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return strings.TrimSpace(string(body))
}

// certificate writes one for www.example.org and its key into one file.
func certificate(t *testing.T, dir string) (path string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "www.example.org"}, DNSNames: []string{"www.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	path = filepath.Join(dir, "both.pem")
	require.NoError(t, os.WriteFile(path, both, 0o600))
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	return path, pool
}

// inRack runs a server in the rack until the test ends, and waits for its port.
func inRack(t *testing.T, addr, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ip", append([]string{"netns", "exec", "rack", lab.Program(t, program)}, args...)...)
	output := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = output, output
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", program, output)
		}
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, patience, 20*time.Millisecond, "%s does not listen on %s", program, addr)
}

// An IPv4-only client reaches nginx and HAProxy on IPv6-only machines, and they
// know who it is.
func TestProxyV2ReadByServers(t *testing.T) {
	lab.Need(t, "nginx", "haproxy")
	if !lab.Isolated(t) {
		return
	}
	network3(t)
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	pem, pool := certificate(t, dir)
	nginx := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(nginx, fmt.Appendf(nil, `daemon off; master_process off; pid %[1]s/nginx.pid; error_log stderr;
events {}
http {
	access_log off; client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
	server {
		listen [%[2]s]:80 proxy_protocol; listen [%[2]s]:443 ssl proxy_protocol;
		ssl_certificate %[3]s; ssl_certificate_key %[3]s;
		location / { return 200 "nginx $proxy_protocol_addr $proxy_protocol_server_addr $host"; }
	}
}
`, dir, backendAddr(0), pem), 0o644))
	inRack(t, "["+backendAddr(0).String()+"]:443", "nginx", "-p", dir, "-c", nginx)
	haproxy := filepath.Join(dir, "haproxy.cfg")
	require.NoError(t, os.WriteFile(haproxy, fmt.Appendf(nil, `defaults
	mode http
	timeout client 10s
frontend f
	bind [%[1]s]:80 accept-proxy
	bind [%[1]s]:443 accept-proxy ssl crt %[2]s
	http-request return status 200 content-type text/plain lf-string "haproxy %%[src] %%[dst] %%[req.hdr(host)]"
`, backendAddr(1), pem), 0o644))
	inRack(t, "["+backendAddr(1).String()+"]:443", "haproxy", "-db", "-f", haproxy)

	for i, server := range []string{"nginx", "haproxy"} {
		config := Config{Allow: []netip.Prefix{netip.MustParsePrefix("fd00:b::/64")}, Sites: []Site{{
			Names: []string{"www.example.org"}, Backends: []netip.Addr{backendAddr(i)}, Proxy: ProxyV2,
		}}}
		t.Run(server, func(t *testing.T) {
			serveHere(t, config)
			want := fmt.Sprintf("%s %s %s www.example.org", server, clientAddr, frontAddr)
			require.Equal(t, want, get(t, client4(pool), "https://www.example.org/"))
			require.Equal(t, want, get(t, client4(pool), "http://www.example.org/"))
		})
	}
}

// whoami answers each request with the address that it came from.
func whoami(t *testing.T, i int) {
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintf(w, "%d %s", i, host)
	})}
	for _, port := range []string{"80", "443"} {
		l := nstest.Listen(t, "rack", "tcp6", net.JoinHostPort(backendAddr(i).String(), port))
		go func() { _ = server.Serve(l) }()
	}
	t.Cleanup(func() { server.Close() })
}

// The backend sees the client's IPv4 address in the source of its connection.
func TestSourceAddress(t *testing.T) {
	if !lab.Isolated(t) {
		return
	}
	network3(t)
	whoami(t, 0)
	prefix := nat64.MustParsePrefix(sourceNet)
	serveHere(t, Config{
		Allow: []netip.Prefix{netip.MustParsePrefix("fd00:b::/64")}, SourcePrefix: prefix,
		Sites: []Site{{Names: []string{"www.example.org"}, Backends: []netip.Addr{backendAddr(0)}, Proxy: SourceAddress}},
	})
	seen := strings.Fields(get(t, client4(nil), "http://www.example.org/"))
	source := netip.MustParseAddr(seen[1])
	ipv4, ok := prefix.Extract(source)
	require.True(t, ok, source)
	require.Equal(t, clientAddr, ipv4.String())
}

// "Added the IPv6 addresses of the Pis into the load balancer, deleted the x86
// servers": under load, and no request fails. Then one Pi loses its
// power, and the health checks notice.
func TestSwapUnderLoad(t *testing.T) {
	if !lab.Isolated(t) {
		return
	}
	network3(t)
	for i := range 8 {
		whoami(t, i)
	}
	config := func(first, behind int) Config {
		site := Site{Names: []string{"www.example.org"}, Health: Health{TCP: true, Interval: 50 * time.Millisecond}, Ports: Ports{HTTP: 80}}
		for i := first; i < behind; i++ {
			site.Backends = append(site.Backends, backendAddr(i))
		}
		return Config{Allow: []netip.Prefix{netip.MustParsePrefix("fd00:b::/64")}, Sites: []Site{site}, Limits: Limits{Connect: 300 * time.Millisecond}}
	}
	f := serveHere(t, config(0, 4))
	var requests, failures atomic.Int64
	var mu sync.Mutex
	served := map[string]int{}
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for worker := range 8 {
		load.Go(func() {
			c := client4(nil)
			c.Transport.(*http.Transport).DisableKeepAlives = worker%2 == 0
			defer c.CloseIdleConnections()
			for ctx.Err() == nil {
				response, err := c.Get("http://www.example.org/")
				requests.Add(1)
				if err != nil || response.StatusCode != http.StatusOK {
					failures.Add(1)
					t.Errorf("request %d: %v %v", requests.Load(), response, err)
					return
				}
				body, _ := io.ReadAll(response.Body)
				response.Body.Close()
				mu.Lock()
				served[string(body[:1])]++
				mu.Unlock()
			}
		})
	}
	after := func(n int64) {
		target := requests.Load() + n
		require.Eventually(t, func() bool { return requests.Load() >= target || failures.Load() > 0 }, time.Minute, time.Millisecond)
	}
	for range 3 {
		after(300)
		require.NoError(t, f.Update(config(4, 8)))
		after(300)
		require.NoError(t, f.Update(config(0, 4)))
	}
	require.NoError(t, f.Update(config(4, 8)))
	after(100)
	mu.Lock()
	clear(served)
	mu.Unlock()
	after(400)
	mu.Lock()
	for _, x86 := range []string{"0", "1", "2", "3"} {
		require.Zero(t, served[x86], "deleted")
	}
	for _, pi := range []string{"4", "5", "6", "7"} {
		require.NotZero(t, served[pi], "%v", served)
	}
	mu.Unlock()
	stop()
	load.Wait()
	require.Zero(t, failures.Load())
	t.Logf("%d requests, none failed", requests.Load())
	// Pi 4 vanishes from the network: no answer at all.
	nstest.IP(t, "rack", "address", "del", backendAddr(4).String()+"/64", "dev", "eth0")
	nstest.IP(t, "rack", "-6", "route", "add", "blackhole", backendAddr(4).String())
	require.Eventually(t, func() bool {
		for _, b := range f.Stats().Backends {
			if b.Addr == backendAddr(4) {
				return !b.Up
			}
		}
		return false
	}, patience, 10*time.Millisecond)
	for range 50 {
		require.NotEqual(t, "4", get(t, client4(nil), "http://www.example.org/")[:1])
	}
}

// The programs whose words these are accept them.
func TestRenderedAccepted(t *testing.T) {
	dir := t.TempDir()
	var nginx, haproxy string
	for _, site := range rack().Sites {
		nginx += site.Nginx()
		haproxy += site.HAProxy()
	}
	lab.Need(t, "nginx", "haproxy")
	path := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(path, []byte("pid "+dir+"/pid; error_log stderr;\nevents {}\nhttp {\n"+nginx+`
server { listen 127.0.0.1:1; location / { proxy_pass http://www.example.org_http; } }
}
`), 0o644))
	lab.Run(t, "nginx", "-t", "-p", dir, "-c", path)
	path = filepath.Join(dir, "haproxy.cfg")
	require.NoError(t, os.WriteFile(path, []byte("defaults\n    timeout client 1m\n    timeout server 1m\n    timeout connect 1s\n"+haproxy+`
frontend tls
    mode tcp
    bind 127.0.0.1:1
    default_backend www.example.org_tls
`), 0o644))
	require.NotContains(t, lab.Run(t, "haproxy", "-c", "-f", path), "WARNING")
}
