package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// manager is systemd's end of the notification socket.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return conn
}

func next(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	buf := make([]byte, 1000)
	n, err := conn.Read(buf)
	require.NoError(t, err)
	state, _, _ := strings.Cut(string(buf[:n]), "\n")
	return state
}

func TestServe(t *testing.T) {
	systemd := manager(t)
	ctx, cancel := context.WithCancel(t.Context())
	reloads := 0
	s := Service{
		Logger: slog.New(slog.DiscardHandler),
		Run: func(ctx context.Context, ready func()) error {
			ready()
			<-ctx.Done()
			return ctx.Err()
		},
		Reload: func(context.Context) error {
			reloads++
			return errors.New("bad configuration")
		},
	}
	result := make(chan error)
	go func() { result <- s.Serve(ctx, Flags{}) }()
	require.Equal(t, "READY=1", next(t, systemd))
	require.NoError(t, syscall.Kill(syscall.Getpid(), syscall.SIGHUP))
	require.Equal(t, "RELOADING=1", next(t, systemd))
	require.Equal(t, "READY=1", next(t, systemd))
	require.Equal(t, 1, reloads)
	cancel()
	require.Equal(t, "STOPPING=1", next(t, systemd))
	require.NoError(t, <-result)
}

func TestServeFails(t *testing.T) {
	broken := errors.New("broken")
	s := Service{Logger: slog.New(slog.DiscardHandler), Run: func(context.Context, func()) error { return broken }}
	require.ErrorIs(t, s.Serve(t.Context(), Flags{}), broken)
	require.Error(t, s.Serve(t.Context(), Flags{Metrics: "no address"}))
}

func TestWatchdog(t *testing.T) {
	systemd := manager(t)
	t.Setenv("WATCHDOG_USEC", "2000")
	ctx, cancel := context.WithCancel(t.Context())
	s := Service{Logger: slog.New(slog.DiscardHandler), Run: func(ctx context.Context, _ func()) error {
		<-ctx.Done()
		return nil
	}}
	result := make(chan error)
	go func() { result <- s.Serve(ctx, Flags{}) }()
	require.Equal(t, "WATCHDOG=1", next(t, systemd))
	cancel()
	for next(t, systemd) != "STOPPING=1" {
	}
	require.NoError(t, <-result)
}

// lines is a log that can be waited for.
type lines chan string

func (l lines) Write(p []byte) (int, error) { l <- string(p); return len(p), nil }

func TestMetrics(t *testing.T) {
	log := make(lines, 10)
	ctx, cancel := context.WithCancel(t.Context())
	s := Service{
		Logger:  slog.New(slog.NewTextHandler(log, nil)),
		Run:     func(ctx context.Context, _ func()) error { <-ctx.Done(); return nil },
		Figures: func() []Figure { return []Figure{{"rack_pis", "Pis.", false, map[string]string{"state": "up"}, 8}} },
	}
	result := make(chan error)
	go func() { result <- s.Serve(ctx, Flags{Metrics: "127.0.0.1:0"}) }()
	_, addr, _ := strings.Cut(strings.TrimSpace(<-log), "metrics=")
	response, err := http.Get("http://" + addr + "/metrics")
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Contains(t, string(body), `rack_pis{state="up"} 8`)
	cancel()
	require.NoError(t, <-result)
}
