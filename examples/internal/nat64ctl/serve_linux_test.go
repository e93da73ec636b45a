package nat64ctl

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/nat64/frontend"
	"github.com/stretchr/testify/require"
)

// "Added the IPv6 addresses of the Pis into the load balancer, deleted the x86
// servers": SIGHUP swaps all backends under load, and no request fails.
func TestSIGHUPUnderLoad(t *testing.T) {
	if !lab.Isolated(t) {
		return
	}
	var backends []netip.Addr
	for i := range 8 {
		addr := netip.MustParseAddr(fmt.Sprintf("fd00::%d", i+1))
		lab.Run(t, "ip", "address", "add", addr.String()+"/128", "dev", "lo", "nodad")
		l, err := net.Listen("tcp6", net.JoinHostPort(addr.String(), "80"))
		require.NoError(t, err)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, i) })}
		go func() { _ = server.Serve(l) }()
		t.Cleanup(func() { server.Close() })
		backends = append(backends, addr)
	}
	path := filepath.Join(t.TempDir(), "frontend.yaml")
	write := func(some []netip.Addr) {
		config := frontend.Config{
			Listen: frontend.Listen{HTTP: []string{"127.0.0.1:80"}}, Allow: []netip.Prefix{netip.MustParsePrefix("fd00::/64")},
			Sites: []frontend.Site{{Names: []string{"www.example.org"}, Backends: some, Health: frontend.Health{TCP: true}}},
		}
		require.NoError(t, os.WriteFile(path, []byte(config.YAML()), 0o644))
	}
	x86, pis := backends[:4], backends[4:]
	write(x86)
	log := &journal{make(chan map[string]any, 1000)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	command := &Reverse{File: path}
	command.Metrics = "127.0.0.1:0"
	go func() { ended <- command.Run(ctx, cli.Streams{Out: io.Discard, Err: log}) }()
	metrics := log.wait(t, "serving")["metrics"].(string)
	log.wait(t, "serving")

	var requests, failures atomic.Int64
	var served [8]atomic.Int64
	loading, stop := context.WithCancel(ctx)
	var load sync.WaitGroup
	for worker := range 6 {
		load.Go(func() {
			c := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: worker%2 == 0, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:80")
			}}}
			defer c.CloseIdleConnections()
			for loading.Err() == nil {
				response, err := c.Get("http://www.example.org/")
				requests.Add(1)
				if err != nil || response.StatusCode != http.StatusOK {
					failures.Add(1)
					t.Errorf("%v %v", response, err)
					return
				}
				body, _ := io.ReadAll(response.Body)
				response.Body.Close()
				served[body[0]-'0'].Add(1)
			}
		})
	}
	after := func(n int64) {
		target := requests.Load() + n
		require.Eventually(t, func() bool { return requests.Load() >= target || failures.Load() > 0 }, time.Minute, time.Millisecond)
	}
	reload := func(message string) {
		require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
		log.wait(t, message)
	}
	for range 5 {
		after(200)
		write(pis)
		reload("configuration read again")
		after(200)
		write(x86)
		reload("configuration read again")
	}
	write(pis)
	reload("configuration read again")
	require.NoError(t, os.WriteFile(path, []byte("sites: 3\n"), 0o644))
	reload("the old configuration stays")
	after(50)
	for i := range served {
		served[i].Store(0)
	}
	after(500)
	stop()
	load.Wait()
	require.Zero(t, failures.Load())
	for i := range served {
		require.Equal(t, i >= 4, served[i].Load() > 0, "backend %d", i)
	}
	response, err := http.Get("http://" + metrics + "/metrics")
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	response.Body.Close()
	for _, want := range []string{`nat64ctl_frontend_backend_up{backend="fd00::8"} 1`, "nat64ctl_frontend_http_requests_total", `nat64ctl_frontend_closed_total{reason="loop"} 0`} {
		require.Contains(t, string(text), want)
	}
	cancel()
	require.NoError(t, <-ended)
	t.Logf("%d requests, none failed", requests.Load())
}
