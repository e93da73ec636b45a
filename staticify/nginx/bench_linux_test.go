package nginx_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/internal/weblab"
	"github.com/berryrack/berryrack/staticify/nginx"
	"github.com/berryrack/berryrack/staticify/publish"
	"github.com/berryrack/berryrack/staticify/render"
)

const (
	benchPages = 20
	benchAge   = 6 * time.Second // of a page, so that there is a new generation each second
	benchTime  = 60 * time.Second
	benchRate  = 1000 // requests a second
)

// slowOrigin takes 300 ms for each page of 20 KB.
func slowOrigin(b *testing.B) *httptest.Server {
	body := bytes.Repeat([]byte("<p>The little computer that did.</p>\n"), 550)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(300 * time.Millisecond)
		w.Header().Set("Content-Type", "text/html; charset=UTF-8")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body)
	}))
	b.Cleanup(s.Close)
	return s
}

// cached is nginx with its own cache, which renews in the background what is older than a second.
func cached(b *testing.B, origin string) *weblab.Nginx {
	address := weblab.Address(b)
	return weblab.StartNginx(b, address, fmt.Sprintf(`
		proxy_cache_path %s keys_zone=c:10m;
		keepalive_requests 10000000;
		server { listen %s backlog=8192; location = /nothing { return 200; } location / {
			proxy_pass %s; proxy_cache c; proxy_cache_valid 200 1s; proxy_cache_use_stale updating error timeout;
			proxy_cache_background_update on; proxy_cache_lock on; proxy_set_header Host %s;
		} }`, weblab.Dir(b), address, origin, host))
}

// published is nginx with our files, and the Site that makes them.
func published(b *testing.B, origin string) (*weblab.Nginx, *staticify.Site) {
	dir := weblab.Dir(b)
	c := nginx.Config{Host: host, Root: filepath.Join(dir, "www"), Origin: origin, MaxAge: benchAge}
	conf := filepath.Join(dir, "conf")
	contents, err := c.Contents(nginx.Table{})
	require.NoError(b, err)
	for name, data := range contents {
		weblab.WriteFile(b, filepath.Join(conf, name), string(data))
	}
	address := weblab.Address(b)
	n := weblab.StartNginx(b, address, fmt.Sprintf(`include %[1]s/http.conf; keepalive_requests 10000000;
		server { listen %[2]s backlog=8192; include %[1]s/server.conf; }`, conf, address))
	u, err := url.Parse(origin)
	require.NoError(b, err)
	site := &staticify.Site{
		Renderer: &render.Renderer{Origin: u, Host: host}, Publisher: &publish.Publisher{Roots: []string{c.Root}, Layout: c, MaxAge: benchAge},
		Server: &nginx.Server{Config: c, Dir: conf, TestCommand: n.Test, ReloadCommand: n.Reload},
		Budget: staticify.Budget{CPU: 64, Parallel: 16, Interval: time.Minute}, MaxAge: benchAge, Interval: time.Second,
	}
	for i := range benchPages {
		site.Important = append(site.Important, staticify.Key{Path: benchPath(i)})
	}
	workers := n.Workers(b)
	for published := 0; published < benchPages; { // on a busy machine the first round may end too early
		report, err := site.RunOnce(b.Context())
		require.NoError(b, err)
		published = report.Published
	}
	n.Reloaded(b, workers)
	return n, site
}

func benchPath(i int) string { return fmt.Sprintf("/2016/04/13/post-%d/", i) }

// BenchmarkBesideCache prints what testdata/bench/run shows.
func BenchmarkBesideCache(b *testing.B) {
	lab.Need(b, "nginx", "wrk")
	origin := slowOrigin(b)
	cache := cached(b, origin.URL)
	files, site := published(b, origin.URL)
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() { site.Run(ctx) })
	b.Cleanup(func() { cancel(); running.Wait() })
	for i := range benchPages {
		weblab.Get(b, cache.Address, host, benchPath(i))
	}

	page := benchPath(1)
	ours, theirs := cpuOfRequest(b, files, 64, page), cpuOfRequest(b, cache, 64, page)
	for range 2 { // the best of three, in turn: other work on the machine is not theirs
		ours, theirs = min(ours, cpuOfRequest(b, files, 64, page)), min(theirs, cpuOfRequest(b, cache, 64, page))
	}
	fmt.Printf("processor time of a request: files %v, proxy_cache %v, ratio %.2f\n", ours, theirs, float64(ours)/float64(theirs))
	fmt.Printf("of one that takes gzip, as browsers do: files %v; of one for nothing at all (return 200): %v\n",
		cpuOfRequest(b, files, 64, page, "-H", "Accept-Encoding: gzip"), cpuOfRequest(b, cache, 64, "/nothing"))
	fmt.Printf("with 5,000 connections: files %v, proxy_cache %v\n", cpuOfRequest(b, files, 5000, page), cpuOfRequest(b, cache, 5000, page))

	before := site.Counters().Generations
	fmt.Printf("%d requests a second, open loop, %v:\n", benchRate, benchTime)
	fmt.Printf("files:       %v; %d generations\n", openLoop(b, files.Address), site.Counters().Generations-before)
	fmt.Printf("proxy_cache: %v\n", openLoop(b, cache.Address))
}

var wrkTotal = regexp.MustCompile(`(\d+) requests in`)

// cpuOfRequest has wrk ask for one path, and returns the processor time of nginx's worker for each.
func cpuOfRequest(b *testing.B, n *weblab.Nginx, connections int, path string, options ...string) time.Duration {
	before := cpuOf(b, n)
	options = append(options, "-t1", "-c"+strconv.Itoa(connections), "-d5s", "--timeout", "10s", "-H", "Host: "+host, "http://"+n.Address+path)
	out := weblab.Run(b, "wrk", options...)
	used := cpuOf(b, n) - before
	if strings.Contains(out, "Non-2xx") || strings.Contains(out, "Socket errors") {
		fmt.Printf("with %d connections: %s", connections, out)
	}
	requests, err := strconv.Atoi(wrkTotal.FindStringSubmatch(out)[1])
	require.NoError(b, err)
	require.NotZero(b, requests, out)
	return used / time.Duration(requests)
}

// cpuOf is what nginx's worker has used up, to 10 ms.
func cpuOf(b *testing.B, n *weblab.Nginx) time.Duration {
	var sum int64
	for _, pid := range n.Workers(b) {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		require.NoError(b, err)
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
		for _, field := range []int{14, 15} { // utime and stime in proc(5)
			ticks, err := strconv.ParseInt(fields[field-3], 10, 64)
			require.NoError(b, err)
			sum += ticks
		}
	}
	return time.Duration(sum) * 10 * time.Millisecond
}

// spread is how long requests took from the moment at which they were due.
type spread struct {
	p50, p99, most time.Duration
	requests, bad  int
}

func (s spread) String() string {
	return fmt.Sprintf("p50 %v, p99 %v, max %v; %d requests, %d errors", s.p50, s.p99, s.most, s.requests, s.bad)
}

// openLoop sends requests at their times, whatever became of those before, on 128 connections that are kept.
func openLoop(b *testing.B, address string) spread {
	type due struct {
		at   time.Time
		page int
	}
	queue := make(chan due, benchRate*int(benchTime/time.Second))
	var mu sync.Mutex
	var took []time.Duration
	bad := 0
	var clients sync.WaitGroup
	for range 128 {
		transport := &http.Transport{MaxConnsPerHost: 1, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		}}
		clients.Go(func() {
			defer transport.CloseIdleConnections()
			for d := range queue {
				ok := ask(transport, d.page)
				mu.Lock()
				took = append(took, time.Since(d.at))
				if !ok {
					bad++
				}
				mu.Unlock()
			}
		})
	}
	start := time.Now()
	for i := range benchRate * int(benchTime/time.Second) {
		at := start.Add(time.Duration(i) * time.Second / benchRate)
		time.Sleep(time.Until(at))
		queue <- due{at, rand.IntN(benchPages)}
	}
	close(queue)
	clients.Wait()
	slices.Sort(took)
	return spread{p50: took[len(took)/2], p99: took[len(took)*99/100], most: took[len(took)-1], requests: len(took), bad: bad}
}

func ask(transport *http.Transport, page int) bool {
	request, err := http.NewRequest("GET", "http://"+host+benchPath(page), nil)
	if err != nil {
		return false
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	return err == nil && n > 10000 && response.StatusCode == 200
}
