package frontend

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/berryrack/berryrack/nat64"
	"github.com/pires/go-proxyproto"
	"github.com/stretchr/testify/require"
)

const patience = 10 * time.Second

var loopback = netip.IPv6Loopback()

func siteAt(name string, port uint16) Site {
	return Site{Names: []string{name}, Backends: []netip.Addr{loopback}, Ports: Ports{TLS: port, HTTP: port}}
}

func configOf(sites ...Site) Config {
	return Config{Allow: []netip.Prefix{netip.MustParsePrefix("::1/128")}, Sites: sites, Limits: Limits{Hello: time.Second, Drain: time.Second}}
}

// backendOf serves each connection with handle, and returns its port.
func backendOf(t *testing.T, handle func(net.Conn)) uint16 {
	t.Helper()
	l, err := net.Listen("tcp6", "[::1]:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			serving.Go(func() { defer conn.Close(); handle(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, conn := range conns {
			conn.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	return addrPort(l.Addr()).Port()
}

// echo hides what it copies between, or io.Copy would hold a pipe.
func echo(conn net.Conn) {
	_, _ = io.Copy(struct{ io.Writer }{conn}, struct{ io.Reader }{conn})
}

// A running frontend, with a listener of each kind on both families.
type running struct {
	*Frontend
	tls, http   string // on [::1]
	tls4, http4 string // on 127.0.0.1
	stop        context.CancelFunc
	ended       chan error
}

func run(t *testing.T, config Config) *running {
	t.Helper()
	f, err := New(config)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{Frontend: f, stop: cancel, ended: make(chan error, 1)}
	listen := func(addr string, at *string) net.Listener {
		l, err := net.Listen("tcp", addr)
		require.NoError(t, err)
		*at = l.Addr().String()
		return l
	}
	tls := []net.Listener{listen("[::1]:0", &r.tls), listen("127.0.0.1:0", &r.tls4)}
	plain := []net.Listener{listen("[::1]:0", &r.http), listen("127.0.0.1:0", &r.http4)}
	go func() { r.ended <- f.Serve(ctx, tls, plain) }()
	t.Cleanup(r.end)
	return r
}

func (r *running) end() {
	r.stop()
	if err, open := <-r.ended; open && err != nil {
		panic(err)
	}
	select {
	case <-r.ended:
	default:
		close(r.ended)
	}
}

// dialTLS connects as a client, says hello for name, and reads it back from an echo.
func dialTLS(t *testing.T, addr, name string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = conn.Write(hello(t, &tls.Config{ServerName: name}))
	require.NoError(t, err)
	return conn.(*net.TCPConn)
}

func expectEcho(t *testing.T, conn net.Conn, name string) {
	t.Helper()
	sent := hello(t, &tls.Config{ServerName: name})
	got := make([]byte, len(sent)) // as long as what was sent; the random part differs
	_, err := io.ReadFull(conn, got)
	require.NoError(t, err)
	require.Contains(t, string(got), name)
}

func TestTLSByName(t *testing.T) {
	one, other := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "one") })),
		httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "other") }))
	var ports []uint16
	for _, s := range []*httptest.Server{one, other} {
		l, err := net.Listen("tcp6", "[::1]:0")
		require.NoError(t, err)
		s.Listener = l
		s.StartTLS()
		t.Cleanup(s.Close)
		ports = append(ports, addrPort(l.Addr()).Port())
	}
	wild := siteAt("*.example.com", ports[1])
	f := run(t, configOf(siteAt("example.com", ports[0]), wild))
	pool := x509.NewCertPool()
	pool.AddCert(one.Certificate())
	for name, want := range map[string]string{"example.com": "one", "www.example.com": "other", "a.b.example.com": "other"} {
		for _, addr := range []string{f.tls, f.tls4} {
			transport := &http.Transport{
				TLSClientConfig: &tls.Config{RootCAs: pool, InsecureSkipVerify: strings.HasPrefix(name, "a.b.")},
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, "tcp", addr)
				},
			}
			response, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://" + name + "/")
			require.NoError(t, err)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.Equal(t, want, string(body), name)
			transport.CloseIdleConnections()
		}
	}
	// Unknown names get an alert that says so, and no connection.
	_, err := tls.Dial("tcp", f.tls, &tls.Config{ServerName: "example.net"})
	require.ErrorContains(t, err, "unrecognized name")
	require.EqualValues(t, 1, f.Stats().NoSite)
}

func TestHTTPByHost(t *testing.T) {
	seen := make(chan *http.Request, 10)
	server := &http.Server{DisableGeneralOptionsHandler: true, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r
		w.Header().Set("Backend", r.Host)
	})}
	l, err := net.Listen("tcp6", "[::1]:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	f := run(t, configOf(siteAt("www.example.org", addrPort(l.Addr()).Port())))
	get := func(addr, host string) *http.Response {
		request, err := http.NewRequest(http.MethodGet, "http://"+addr+"/path?q=1", nil)
		require.NoError(t, err)
		request.Host = host
		request.Header.Set("X-Forwarded-For", "203.0.113.66")
		response, err := (&http.Client{Timeout: patience}).Do(request)
		require.NoError(t, err)
		response.Body.Close()
		return response
	}
	require.Equal(t, 200, get(f.http4, "WWW.Example.org:80").StatusCode)
	r := <-seen
	require.Equal(t, "127.0.0.1", r.Header.Get("X-Forwarded-For"), "not what the client claims")
	require.Equal(t, "WWW.Example.org:80", r.Host)
	require.Equal(t, "/path?q=1", r.RequestURI)
	for _, line := range []string{"GET /a;b?a;b=%zz&c=1", "OPTIONS *"} {
		conn, err := net.Dial("tcp", f.http)
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: www.example.org\r\nX-Real-IP: 203.0.113.66\r\nConnection: close\r\n\r\n", line)
		require.NoError(t, err)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		require.Equal(t, 200, response.StatusCode)
		require.Equal(t, "www.example.org", response.Header.Get("Backend"), line)
		conn.Close()
		r := <-seen
		require.Equal(t, line, r.Method+" "+r.RequestURI, "as it came")
		require.Empty(t, r.Header.Values("X-Real-IP"))
	}
	require.Equal(t, 405, connect(t, f.http), "not a forward proxy")
	require.Empty(t, seen)
	require.Equal(t, 421, get(f.http, "www.example.net").StatusCode)
	require.Equal(t, 421, get(f.http, "[::1]:80").StatusCode)
}

func connect(t *testing.T, addr string) int {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "CONNECT www.example.org:80 HTTP/1.1\r\nHost: www.example.org:80\r\n\r\n")
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	return response.StatusCode
}

func TestProxyV2(t *testing.T) {
	headers := make(chan *proxyproto.Header, 10)
	port := backendOf(t, func(conn net.Conn) {
		r := bufio.NewReader(conn)
		header, err := proxyproto.Read(r)
		if err == nil {
			headers <- header
		}
		if first, _ := r.Peek(3); string(first) == "GET" {
			if _, err := http.ReadRequest(r); err == nil {
				fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
			return
		}
		_, _ = io.Copy(conn, r)
	})
	site := siteAt("www.example.org", port)
	site.Proxy = ProxyV2
	f := run(t, configOf(site))
	for _, addr := range []string{f.tls4, f.tls} {
		conn := dialTLS(t, addr, "www.example.org")
		expectEcho(t, conn, "www.example.org")
		header := <-headers
		require.EqualValues(t, 2, header.Version)
		require.Equal(t, conn.LocalAddr().String(), header.SourceAddr.String())
		require.Equal(t, conn.RemoteAddr().String(), header.DestinationAddr.String())
		require.Equal(t, strings.Contains(addr, "["), header.TransportProtocol == proxyproto.TCPv6)
	}
	for range 3 { // each HTTP request has a connection of its own
		request, err := http.NewRequest(http.MethodGet, "http://"+f.http4, nil)
		require.NoError(t, err)
		request.Host = "www.example.org"
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		response.Body.Close()
		require.Equal(t, 200, response.StatusCode)
		require.Equal(t, f.http4, (<-headers).DestinationAddr.String())
	}
}

// Large transfers both ways at once, and each side may end its own direction first.
func TestRelay(t *testing.T) {
	f := run(t, configOf(siteAt("www.example.org", backendOf(t, echo))))
	conn := dialTLS(t, f.tls, "www.example.org")
	expectEcho(t, conn, "www.example.org")
	const size = 20 << 20
	block := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	go func() {
		for range size / len(block) {
			if _, err := conn.Write(block); err != nil {
				return
			}
		}
		_ = conn.CloseWrite()
	}()
	got := make([]byte, len(block))
	for range size / len(block) {
		_, err := io.ReadFull(conn, got)
		require.NoError(t, err)
		require.Equal(t, block, got)
	}
	_, err := conn.Read(got)
	require.ErrorIs(t, err, io.EOF, "the half-close came back")
	stats := f.Stats()
	require.GreaterOrEqual(t, stats.ToClients, uint64(size))
}

// A backend that dies in mid-stream must not look like the end of the stream.
func TestBackendDies(t *testing.T) {
	port := backendOf(t, func(conn net.Conn) {
		_, _ = conn.Write([]byte("half"))
		buf := make([]byte, 1)
		_, _ = conn.Read(buf)
		_ = conn.(*net.TCPConn).SetLinger(0)
	})
	f := run(t, configOf(siteAt("www.example.org", port), siteAt("dead.example.org", 1)))
	conn := dialTLS(t, f.tls, "www.example.org")
	_, err := io.ReadAll(conn)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	_, err = tls.Dial("tcp", f.tls, &tls.Config{ServerName: "dead.example.org"})
	require.ErrorContains(t, err, "internal error")
	require.EqualValues(t, 1, f.Stats().NoBackend)
	request, err := http.NewRequest(http.MethodGet, "http://"+f.http, nil)
	require.NoError(t, err)
	request.Host = "dead.example.org"
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, http.StatusBadGateway, response.StatusCode)
}

func TestSlowAndJunk(t *testing.T) {
	t.Parallel()
	config := configOf(siteAt("www.example.org", backendOf(t, echo)))
	config.Limits.Hello = 200 * time.Millisecond
	f := run(t, config)
	for _, addr := range []string{f.tls, f.http} {
		conn, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		_, err = conn.Write([]byte{22, 3, 1})
		require.NoError(t, err)
		_, err = io.ReadAll(conn)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "closed by the frontend")
	}
	require.EqualValues(t, 1, f.Stats().Slow)
	drip, err := net.Dial("tcp", f.tls)
	require.NoError(t, err)
	defer drip.Close()
	for _, octet := range hello(t, &tls.Config{ServerName: "www.example.org"}) { // one at a time, for ever
		if _, err = drip.Write([]byte{octet}); err != nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	require.Error(t, err, "the time is for the whole ClientHello")
	require.EqualValues(t, 2, f.Stats().Slow)
	conn, err := net.Dial("tcp", f.tls)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1))
	require.Error(t, err)
	require.EqualValues(t, 1, f.Stats().Junk)
}

func TestLimits(t *testing.T) {
	config := configOf(siteAt("www.example.org", backendOf(t, echo)))
	config.Limits.PerClient = 2
	f := run(t, config)
	first := dialTLS(t, f.tls, "www.example.org")
	expectEcho(t, first, "www.example.org")
	expectEcho(t, dialTLS(t, f.tls, "www.example.org"), "www.example.org")
	_, err := io.ReadAll(dialTLS(t, f.tls, "www.example.org"))
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "one too many")
	require.EqualValues(t, 1, f.Stats().Limited)
	expectEcho(t, dialTLS(t, f.tls4, "www.example.org"), "www.example.org") // another client
	first.Close()
	require.Eventually(t, func() bool { return f.Stats().Active == 2 }, patience, time.Millisecond)
	expectEcho(t, dialTLS(t, f.tls, "www.example.org"), "www.example.org")
}

func TestIdle(t *testing.T) {
	t.Parallel()
	config := configOf(siteAt("www.example.org", backendOf(t, echo)))
	config.Limits.Idle = 80 * time.Millisecond
	f := run(t, config)
	conn := dialTLS(t, f.tls, "www.example.org")
	expectEcho(t, conn, "www.example.org")
	_, err := io.ReadAll(conn)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.EqualValues(t, 1, f.Stats().Idle)
}

// HTTP clients are idle in the middle of a request, of an answer that they do
// not take, and of another protocol, too.
func TestIdleHTTP(t *testing.T) {
	t.Parallel()
	done := make(chan struct{}, 3)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { done <- struct{}{} }()
		switch r.URL.Path {
		case "/upgrade":
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			echo(conn)
		case "/endless":
			for chunk := make([]byte, 1<<16); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		default:
			_, _ = io.Copy(io.Discard, r.Body)
		}
	})}
	l, err := net.Listen("tcp6", "[::1]:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	config := configOf(siteAt("www.example.org", addrPort(l.Addr()).Port()))
	config.Limits.Idle = 200 * time.Millisecond
	f := run(t, config)
	for i, request := range []string{
		"POST / HTTP/1.1\r\nHost: www.example.org\r\nContent-Length: 9\r\n\r\nx",
		"GET /endless HTTP/1.1\r\nHost: www.example.org\r\n\r\n",
		"GET /upgrade HTTP/1.1\r\nHost: www.example.org\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", f.http)
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, request)
		require.NoError(t, err)
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatalf("still served: %s", request)
		}
		require.EqualValues(t, i+1, f.Stats().Idle)
	}
	require.Eventually(t, func() bool { return f.Stats().Active == 0 }, patience, time.Millisecond)
}

// A backend that is the frontend itself: without detection, each client would
// become an endless number of them.
func TestLoop(t *testing.T) {
	f := run(t, configOf(siteAt("www.example.org", 1)))
	loop := configOf(siteAt("www.example.org", netip.MustParseAddrPort(f.tls).Port()))
	loop.Sites[0].Ports.HTTP = netip.MustParseAddrPort(f.http).Port()
	require.NoError(t, f.Update(loop))
	_, err := io.ReadAll(dialTLS(t, f.tls, "www.example.org"))
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	require.EqualValues(t, 1, f.Stats().Loops)
	request, err := http.NewRequest(http.MethodGet, "http://"+f.http, nil)
	require.NoError(t, err)
	request.Host = "www.example.org"
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, http.StatusLoopDetected, response.StatusCode)
	request.Header.Set("Via", "1.0 fred, 1.1 "+f.pseudonym)
	response, err = http.DefaultClient.Do(request)
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, http.StatusLoopDetected, response.StatusCode, "through another proxy")
	require.EqualValues(t, 3, f.Stats().Loops)
}

// Only a connection with both its ends is ours: with embedded source addresses
// our end alone may be a client's.
func TestOwnConnections(t *testing.T) {
	f, err := New(configOf(siteAt("www.example.org", 1)))
	require.NoError(t, err)
	source, backend, other := netip.MustParseAddrPort("[2001:db8::1]:4000"), netip.MustParseAddrPort("[2001:db8::2]:443"), netip.MustParseAddrPort("[2001:db8::3]:443")
	f.outgoing.Store(ends{source, backend}, nil)
	require.True(t, f.isOwn(client{remote: source, local: backend}))
	require.False(t, f.isOwn(client{remote: source, local: other}))
}

// What this machine lacks is not a backend's fault.
func TestBackendIsNotBlamed(t *testing.T) {
	f, err := New(configOf(siteAt("www.example.org", 1)))
	require.NoError(t, err)
	r := f.routes.Load()
	r.all[0].Proxy = SourceAddress // with no prefix
	_, err = f.dial(t.Context(), r.all[0], kindHTTP, client{remote: netip.MustParseAddrPort("192.0.2.1:4000")})
	require.ErrorIs(t, err, nat64.ErrNoPrefix)
	require.False(t, r.all[0].backends[0].avoided(time.Now()))
	_, err = f.dial(t.Context(), r.all[0], kindHTTP, client{})
	require.Error(t, err, "nobody listens")
	require.True(t, r.all[0].backends[0].avoided(time.Now()))
	for ours, errno := range map[bool]syscall.Errno{true: syscall.EMFILE, false: syscall.ECONNREFUSED} {
		require.Equal(t, ours, isOurs(&net.OpError{Op: "dial", Err: os.NewSyscallError("socket", errno)}))
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	f := run(t, configOf(siteAt("www.example.org", backendOf(t, echo))))
	conn := dialTLS(t, f.tls, "www.example.org")
	expectEcho(t, conn, "www.example.org")
	f.stop()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", f.tls)
		if err == nil {
			conn.Close()
		}
		return err != nil
	}, patience, time.Millisecond, "no new clients")
	_, err := conn.Write([]byte("still here"))
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, 10))
	require.NoError(t, err)
	_, err = io.ReadAll(conn)
	require.ErrorIs(t, err, syscall.ECONNRESET, "after Limits.Drain")
	require.NoError(t, <-f.ended)
	close(f.ended)
}

// A new configuration: who is connected stays so, who comes is served by it.
func TestUpdate(t *testing.T) {
	answer := func(text string) func(net.Conn) {
		return func(conn net.Conn) {
			_, _ = conn.Write([]byte(text))
			echo(conn)
		}
	}
	f := run(t, configOf(siteAt("www.example.org", backendOf(t, answer("x86")))))
	read := func(conn net.Conn) string {
		got := make([]byte, 3)
		_, err := io.ReadFull(conn, got)
		require.NoError(t, err)
		return string(got)
	}
	old := dialTLS(t, f.tls, "www.example.org")
	require.Equal(t, "x86", read(old))
	require.NoError(t, f.Update(configOf(siteAt("www.example.org", backendOf(t, answer("pis"))))))
	require.Equal(t, "pis", read(dialTLS(t, f.tls, "www.example.org")))
	expectEcho(t, old, "www.example.org")

	bad := configOf(siteAt("www.example.org", 1), siteAt("WWW.example.org.", 2), siteAt("not a name", 1))
	bad.Sites[0].Backends = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), loopback, loopback}
	bad.Sites[1].Proxy = SourceAddress
	err := f.Update(bad)
	for _, want := range []string{
		"sites[0].backends[0]: 192.0.2.1 is not an IPv6 address", "sites[0].backends[1]: 2001:db8::1 is not in allow_backends",
		"sites[0].backends[3]: ::1 is there twice", "sites[1].names[0]: WWW.example.org. belongs to sites[0] already",
		`sites[2].names[0]: "not a name"`, "sites[1].proxy: source wants a source_prefix",
	} {
		require.ErrorContains(t, err, want)
	}
	var one *ConfigError
	require.True(t, errors.As(err, &one))
	require.Equal(t, "pis", read(dialTLS(t, f.tls, "www.example.org")), "bad input changes nothing")
	require.ErrorContains(t, new(Frontend).Update(Config{}), "allow_backends: is empty")
	wellKnown := configOf(siteAt("www.example.org", 1))
	wellKnown.Sites[0].Proxy, wellKnown.SourcePrefix = SourceAddress, nat64.WellKnown()
	require.ErrorContains(t, wellKnown.Validate(), "frontend: source_prefix: 64:ff9b::/96 carries no private addresses")
}

// descriptors counts the process's open files.
func descriptors(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc")
	}
	return len(entries)
}

// Clients and backends that fail in every way, 1,000 half-open ClientHellos
// among them: others are served, and nothing is left.
func TestNothingLeaks(t *testing.T) {
	port := backendOf(t, func(conn net.Conn) {
		buf := make([]byte, 600)
		n, _ := conn.Read(buf)
		if bytes.Contains(buf[:n], []byte("dies")) {
			_ = conn.(*net.TCPConn).SetLinger(0)
			return
		}
		_, _ = conn.Write(buf[:n])
		echo(conn)
	})
	goroutines, files := runtime.NumGoroutine(), descriptors(t)
	config := configOf(siteAt("www.example.org", port), siteAt("dies.example.org", port), siteAt("down.example.org", 1))
	config.Limits.Hello, config.Limits.PerClient = 3*time.Second, 5000
	f := run(t, config)
	var attackers []net.Conn
	for range 1000 {
		conn, err := net.Dial("tcp", f.tls)
		require.NoError(t, err)
		_, err = conn.Write([]byte{22, 3, 1, 2, 0, 1, 0})
		require.NoError(t, err)
		attackers = append(attackers, conn)
	}
	var others sync.WaitGroup
	for _, junk := range []string{"\x16\x03\x01\x00\x01\x02", "GET / HTTP/1.1\r\n\r\n", "\r\n\r\n\x00\r\nQUIT\n", "", "\x15\x03\x01\x00\x02\x02\x28"} {
		for range 20 {
			others.Go(func() {
				if conn, err := net.Dial("tcp", f.tls4); err == nil {
					_, _ = conn.Write([]byte(junk))
					conn.Close()
				}
			})
		}
	}
	for _, name := range []string{"dies.example.org", "down.example.org", "none.example.org"} {
		for range 20 {
			conn := dialTLS(t, f.tls4, name)
			others.Go(func() {
				_, _ = io.ReadAll(conn)
				conn.Close()
			})
		}
	}
	for range 50 {
		conn := dialTLS(t, f.tls, "www.example.org")
		expectEcho(t, conn, "www.example.org")
		conn.Close()
	}
	others.Wait()
	for _, conn := range attackers {
		conn.Close()
	}
	require.Eventually(t, func() bool { return f.Stats().Active == 0 }, patience, 10*time.Millisecond)
	f.end()
	require.Eventually(t, func() bool {
		runtime.GC()
		return runtime.NumGoroutine() <= goroutines+5 && descriptors(t) <= files+5
	}, patience, 50*time.Millisecond, "%d goroutines, %d files; now %d, %d", goroutines, files, runtime.NumGoroutine(), descriptors(t))
}

// An idle connection holds two descriptors here: no pipe.
func TestIdleHoldsNoPipe(t *testing.T) {
	f := run(t, configOf(siteAt("www.example.org", backendOf(t, echo))))
	warm := dialTLS(t, f.tls, "www.example.org")
	expectEcho(t, warm, "www.example.org")
	before := descriptors(t)
	for range 50 {
		expectEcho(t, dialTLS(t, f.tls, "www.example.org"), "www.example.org")
	}
	// Each has the client's end, two of the frontend's, and the backend's.
	require.Eventually(t, func() bool { return descriptors(t)-before <= 50*4+2 }, patience, time.Millisecond)
}
