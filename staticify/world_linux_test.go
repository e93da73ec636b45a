package staticify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/accesslog"
	"github.com/berryrack/berryrack/staticify/internal/weblab"
	"github.com/berryrack/berryrack/staticify/nginx"
	"github.com/berryrack/berryrack/staticify/publish"
	"github.com/berryrack/berryrack/staticify/render"
)

// world is a public nginx, its origin, and what a Site of both needs. It can be handed to another process.
type world struct {
	Origin    string // host:port
	Host      string
	Dir       string // holds the root, the configuration and the state
	Log       string
	Test      []string
	Reload    []string
	MaxAge    time.Duration
	Timeout   time.Duration
	Important []string
	Pages     int
	CPU       float64

	public *weblab.Nginx
}

var keep = []string{"page", "s"}

func (w *world) config() nginx.Config {
	return nginx.Config{
		Host: w.Host, Root: filepath.Join(w.Dir, "www"), Origin: "http://" + w.Origin, MaxAge: w.MaxAge, Query: staticify.Query{Keep: keep},
	}
}

// start runs the public nginx.
func (w *world) start(t *testing.T) {
	w.Dir = weblab.Dir(t)
	contents, err := w.config().Contents(nginx.Table{})
	require.NoError(t, err)
	for name, data := range contents {
		weblab.WriteFile(t, filepath.Join(w.Dir, "conf", name), string(data))
	}
	address := weblab.Address(t)
	w.public = weblab.StartNginx(t, address, fmt.Sprintf(`
		include %[1]s/conf/http.conf;
		server { listen %[2]s default_server; proxy_read_timeout 90s; include %[1]s/conf/server.conf; }`, w.Dir, address))
	w.Log, w.Test, w.Reload = w.public.Log, w.public.Test, w.public.Reload
}

// site is the Site, as a program would make it.
func (w *world) site() (*staticify.Site, error) {
	format, err := accesslog.ParseFormat("combined")
	if err != nil {
		return nil, err
	}
	c := w.config()
	s := &staticify.Site{
		Logs:      []staticify.Log{&accesslog.Follower{Path: w.Log, Format: format, State: filepath.Join(w.Dir, "place")}},
		Ranker:    &staticify.Ranker{Query: c.Query, UserAgent: render.UserAgent},
		Budget:    staticify.Budget{CPU: w.CPU, Pages: w.Pages},
		Renderer:  &render.Renderer{Origin: &url.URL{Scheme: "http", Host: w.Origin}, Host: w.Host, Timeout: w.Timeout},
		Publisher: &publish.Publisher{Roots: []string{c.Root}, Layout: c, MaxAge: w.MaxAge},
		Server:    &nginx.Server{Config: c, Dir: filepath.Join(w.Dir, "conf"), TestCommand: w.Test, ReloadCommand: w.Reload, Every: time.Second},
		MaxAge:    w.MaxAge, State: filepath.Join(w.Dir, "state"),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	for _, target := range w.Important {
		key, err := c.Query.Canonical(target)
		if err != nil {
			return nil, err
		}
		s.Important = append(s.Important, key)
	}
	return s, nil
}

const childVar = "STATICIFY_TEST_CHILD"

// TestChild is a process of its own that runs the Site until it is killed.
func TestChild(t *testing.T) {
	text, ok := os.LookupEnv(childVar)
	if !ok {
		t.Skip("runs in a process of its own")
	}
	var w world
	require.NoError(t, json.Unmarshal([]byte(text), &w))
	site, err := w.site()
	require.NoError(t, err)
	require.NoError(t, site.Run(context.Background()))
}

// child starts the Site in a process of its own.
func (w *world) child(t *testing.T) *exec.Cmd {
	text, err := json.Marshal(w)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childVar+"="+string(text))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { kill(cmd) })
	return cmd
}

// kill is kill -9.
func kill(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}
