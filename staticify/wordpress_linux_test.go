package staticify_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/staticify/internal/weblab"
	"github.com/berryrack/berryrack/staticify/zipflog"
)

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }

const host = weblab.WordPressHost

// Debian's WordPress behind nginx, twice: with us in between, and not.
func TestWordPress(t *testing.T) {
	lab.Need(t, weblab.Programs()...)
	wp := weblab.StartWordPress(t)
	t.Run("replay", func(t *testing.T) { testReplay(t, wp) })
	t.Run("load", func(t *testing.T) { testLoad(t, wp) })
	t.Run("age", func(t *testing.T) { testAge(t, wp) })
}

// busy are pages that can be files, and quiet all that cannot, or is not worth it.
var (
	busy = []string{
		"/", "/page/2/", "/category/uncategorized/", "/feed/", "/comments/feed/", "/author/admin/", "/2016/04/", "/sample-page/",
		weblab.PostPath(1), weblab.PostPath(2), weblab.PostPath(3), weblab.PostPath(3) + "feed/", "/?s=computer", "/?s=no+such+thing", "/?utm_source=a&utm_medium=b",
		weblab.PostPath(2) + "?gclid=1", "/?s=computer&utm_source=x",
	}
	quiet = []string{
		"/no-such-page/", "/?p=1001", "/" + "?p=99999", "/wp-login.php", "/wp-admin/", "/wp-json/", "/wp-json/wp/v2/posts/1001", "/xmlrpc.php", "/wp-comments-post.php",
		"/index.php", "/?author=1", "/2016", "/page/2", weblab.PostPath(1) + "?replytocom=1", "/wp-includes/css/dashicons.min.css", "/wp-content/", "/robots.txt",
		"/?preview=true&p=1001", "/?feed=rss2", "/wp-sitemap.xml", "/favicon.ico", "/2016/04/04/post-3", "/wp-cron.php", "/?page=2",
	}
)

// private are requests that may be somebody's own, and never get a file.
func private(target string) []request {
	base := request{method: "GET", target: target}
	all := []request{
		base.with("Authorization", "Basic YWRtaW46YWRtaW4="), base.with("Authorization", "Bearer x"), base.with("", "x=1"),
		{method: "POST", target: target, header: []string{"", "x=1"}}, {method: "OPTIONS", target: target},
	}
	for _, cookie := range []string{
		"wordpress_logged_in_0123=admin%7C1", "wordpress_sec_0123=x", "PHPSESSID=0", "comment_author_0123=x", "wp-postpass_0123=x", "_ga=1; wp-settings-1=x",
		"woocommerce_items_in_cart=1", "SESS0123=drupal", "=_ga", strings.Repeat("x", 3000) + "=1",
	} {
		all = append(all, base.with("Cookie", cookie))
	}
	return append(all, base.with("Cookie", "_ga=1", "Cookie", "phpbb3_sid=1"))
}

// hostile are requests that want another page's file, or a file where there must be none.
func hostile(target string) []request {
	base := request{method: "GET", target: target}
	all := []request{
		base.with("Cookie", "_ga"), base.with("Cookie", "_ga=GA1.2.3; _gid=GA1.2.4"),
		base.with("X-Forwarded-Host", "evil.example"), base.with("X-Forwarded-Proto", "https"), base.with("X-Original-URL", "/wp-login.php"), base.with("X-Rewrite-URL", "/wp-admin/"),
		base.with("X-HTTP-Method-Override", "DELETE"), base.with("X-Requested-With", "XMLHttpRequest"), base.with("Accept", "application/json"),
		base.with("Range", "bytes=0-99"), base.with("If-Match", `"x"`), base.with("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"), base.with("Expect", "100-continue"),
		base.with("User-Agent", "staticify"), base.with("Accept-Language", "cy"), base.with("Via", "1.0 x"), base.with("Referer", "http://evil.example/"),
		base.with("Host", "example.org"), base.with("Host", "www.example.org:8080"), base.with("Host", "WWW.EXAMPLE.ORG"), base.with("Host", "evil.example"),
		base.with("Transfer-Encoding", "identity"),
	}
	for _, other := range []string{
		"/" + target, target + "?", target + "?x=1", target + "?s", target + "?utm_source=", target + "?p=1002", "/x/.." + target, "/." + target, target + "index.php", target + "%00",
		"/%2e%2e" + target, strings.Replace(target, "/", "/%2F", 1), target + "#x", target + "?page=2&utm_source=1&s=x", target + "^", target + "?../../../../etc/passwd", target + "..%2f",
		strings.ToUpper(target), target + "?UTM_SOURCE=1", target + "?s=../../x", target + "?utm_source=a&&", target + ";x", target + "?s=computer&s=x", target + "?rest_route=/",
	} {
		all = append(all, request{method: "GET", target: other})
	}
	return all
}

// long is an age that no page reaches while a slow machine replays thousands of requests.
const long = time.Hour

// testReplay compares every logged request, and variants of it, with what the origin says.
func testReplay(t *testing.T, wp *weblab.WordPress) {
	w := &world{Origin: wp.Address, Host: host, MaxAge: long}
	w.start(t)
	for _, target := range append(busy, quiet...) {
		for from := range byte(3) {
			send(t, w.public.Address, host, request{method: "GET", target: target, from: from})
		}
	}
	site, err := w.site()
	require.NoError(t, err)
	workers := w.public.Workers(t)
	report, err := site.RunOnce(t.Context())
	require.NoError(t, err)
	t.Logf("%d published of %d rendered; refused: %v", report.Published, report.Rendered, report.Refused)
	w.public.Reloaded(t, workers)
	login := wp.Login(t)
	var mu sync.Mutex
	static, never := map[string]int{}, 0
	group := errgroup.Group{}
	group.SetLimit(6)
	replay := func(kind string, allowed bool, r request) {
		group.Go(func() error {
			hit := equal(t, w.public.Address, wp.Address, host, r)
			mu.Lock()
			defer mu.Unlock()
			if hit {
				static[kind]++
			}
			if hit && !allowed {
				t.Errorf("%s: a file was served for %s", kind, r)
			}
			if !allowed {
				never++
			}
			return nil
		})
	}
	for _, target := range append(busy, quiet...) {
		get := request{method: "GET", target: target}
		replay("plain", true, get)
		replay("gzip", true, get.with("Accept-Encoding", "gzip"))
		replay("brotli", true, get.with("Accept-Encoding", "gzip, br"))
		replay("statistics cookie", true, get.with("Cookie", "_ga=GA1.2.3.4"))
		replay("HEAD", true, request{method: "HEAD", target: target})
		replay("logged in", false, get.with("Cookie", login))
		for _, r := range private(target) {
			replay("private", false, r)
		}
	}
	require.NoError(t, group.Wait())
	for _, kind := range []string{"plain", "gzip", "brotli", "statistics cookie", "HEAD"} {
		require.GreaterOrEqual(t, static[kind], len(busy)-2, "files served: %s", kind)
	}
	variants := slices.Concat(hostile(weblab.PostPath(2)), hostile("/"))
	for _, r := range variants {
		replay("hostile", true, r)
	}
	require.NoError(t, group.Wait())
	t.Logf("files served: %v; %d requests that never may have one; %d hostile variants", static, never, len(variants))
	testCommenter(t, w, wp)
}

// testCommenter writes a comment, and sees it awaiting moderation on a page that others get as a file.
func testCommenter(t *testing.T, w *world, wp *weblab.WordPress) {
	site, err := w.site()
	require.NoError(t, err)
	_, err = site.RunOnce(t.Context())
	require.NoError(t, err)
	target := weblab.PostPath(1)
	require.True(t, staticAt(t, w, target))
	form := url.Values{"comment": {"That is mine"}, "author": {"Mallory"}, "email": {"m@example.org"}, "comment_post_ID": {"1001"}, "comment_parent": {"0"}, "wp-comment-cookies-consent": {"yes"}}
	posted := send(t, w.public.Address, host, request{method: "POST", target: "/wp-comments-post.php"}.with("Content-Type", "application/x-www-form-urlencoded", "", form.Encode()))
	require.Equal(t, 302, posted.status, posted.body)
	var cookies []string
	for _, c := range posted.header.Values("Set-Cookie") {
		cookies = append(cookies, strings.Split(c, ";")[0])
	}
	require.Contains(t, strings.Join(cookies, "; "), "comment_author_")
	mine := send(t, w.public.Address, host, request{method: "GET", target: target}.with("Cookie", strings.Join(cookies, "; ")))
	require.False(t, mine.static())
	require.Contains(t, mine.body, "Mallory")
	others := send(t, w.public.Address, host, request{method: "GET", target: target})
	require.NotContains(t, others.body, "That is mine")
}

// testLoad replays a log that is like a busy site's, its 1,015 pages folded onto the posts that there are, and measures
// what the requests cost that are answered with files.
func testLoad(t *testing.T, wp *weblab.WordPress) {
	w := &world{Origin: wp.Address, Host: host, MaxAge: long, Pages: 2 * weblab.Posts, CPU: 2}
	w.start(t)
	g := zipflog.New(1)
	var lines strings.Builder
	var requests []string
	for range 4000 {
		r := g.Next()
		target := weblab.PostPath(1 + r.Rank%weblab.Posts)
		if r.Rank == 0 {
			target = "/"
		}
		if _, query, ok := strings.Cut(r.Target, "?"); ok {
			target += "?" + query
		}
		requests = append(requests, target)
		fmt.Fprintf(&lines, "%s - - [%s] \"GET %s HTTP/1.1\" 200 40000 \"-\" \"Mozilla/5.0\"\n", r.Client, time.Now().Format("02/Jan/2006:15:04:05 -0700"), target)
	}
	require.NoError(t, os.WriteFile(w.Log, []byte(lines.String()), 0o644))
	site, err := w.site()
	require.NoError(t, err)
	workers := w.public.Workers(t)
	started := time.Now()
	report, err := site.RunOnce(t.Context())
	require.NoError(t, err)
	t.Logf("%d pages published in %v, %d refused, %d left", report.Published, time.Since(started).Round(time.Millisecond), len(report.Refused), len(report.Left))
	w.public.Reloaded(t, workers)
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
	requests = requests[:1000]
	var files []string
	dynamic := 0
	for _, target := range requests {
		if staticAt(t, w, target) {
			files = append(files, target)
		} else {
			dynamic++
		}
	}
	asking := count(t, wp.Questions(t))
	asking = count(t, wp.Questions(t)) - asking // what the question itself costs
	questions := count(t, wp.Questions(t))
	var used usage
	rounds := 0
	for ; rounds < 5 && (rounds == 0 || used.read+used.faults > 0); rounds++ { // other programs may push files out of memory
		before := usageOf(t, w.public.Workers(t))
		for _, target := range files {
			require.True(t, staticAt(t, w, target), target)
		}
		used = usageOf(t, w.public.Workers(t)).less(before)
	}
	cpu := used.cpu / time.Duration(len(files))
	share := 100 * float64(len(files)) / float64(len(requests))
	t.Logf("share of requests with < 10 ms CPU, no disk read, no query: %.1f %% (%d of %d; CPU of one %v, %d bytes read from disk, %d major faults, round %d)",
		share, len(files), len(requests), cpu, used.read, used.faults, rounds)
	require.GreaterOrEqual(t, share, 90.0)
	require.Less(t, cpu, 10*time.Millisecond)
	require.Zero(t, used.read)
	require.Zero(t, used.faults)
	require.Equal(t, questions+asking, count(t, wp.Questions(t)))
}

func staticAt(t *testing.T, w *world, target string) bool {
	return send(t, w.public.Address, host, request{method: "GET", target: target}).static()
}

func count(t *testing.T, text string) int {
	n, err := strconv.Atoi(strings.Fields(text)[1])
	require.NoError(t, err)
	return n
}

// usage is what processes have used up.
type usage struct {
	cpu          time.Duration
	faults, read int64
}

func (u usage) less(o usage) usage {
	return usage{u.cpu - o.cpu, u.faults - o.faults, u.read - o.read}
}

func usageOf(t *testing.T, pids []string) (sum usage) {
	for _, pid := range pids {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		require.NoError(t, err)
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+2:]))
		number := func(field int) int64 { // as proc(5) counts
			n, err := strconv.ParseInt(fields[field-3], 10, 64)
			require.NoError(t, err)
			return n
		}
		sum.cpu += time.Duration(number(14)+number(15)) * 10 * time.Millisecond
		sum.faults += number(12)
		io, err := os.ReadFile("/proc/" + pid + "/io")
		require.NoError(t, err)
		n, err := strconv.ParseInt(string(regexp.MustCompile(`(?m)^read_bytes: (\d+)$`).FindSubmatch(io)[1]), 10, 64)
		require.NoError(t, err)
		sum.read += n
	}
	return sum
}

// ageVar makes testAge last as long as it says, with pages of at most a minute; else it is short, and the minute with it.
const ageVar = "STATICIFY_AGE_TEST"

// testAge edits a post every second, and looks at it all the time, while the program is killed and started again.
func testAge(t *testing.T, wp *weblab.WordPress) {
	duration, maxAge := 42*time.Second, 10*time.Second
	if text := os.Getenv(ageVar); text != "" {
		var err error
		duration, err = time.ParseDuration(text)
		require.NoError(t, err)
		maxAge = time.Minute
	}
	target := weblab.PostPath(5)
	w := &world{Origin: wp.Address, Host: host, MaxAge: maxAge, Important: []string{target, "/", weblab.PostPath(6)}}
	w.start(t)

	// replaced[n] is when version n was no longer what the database had.
	var mu sync.Mutex
	replaced := map[int]time.Time{}
	stop := make(chan struct{})
	var editing sync.WaitGroup
	end := sync.OnceFunc(func() { close(stop); editing.Wait() })
	t.Cleanup(end)
	editing.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for n := 1; ; n++ {
			wp.SQL(t, fmt.Sprintf("UPDATE wp_posts SET post_content = '<p>version-%d.</p>' WHERE ID = 1005", n))
			mu.Lock()
			replaced[n-1] = time.Now()
			mu.Unlock()
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
		}
	})
	await(t.Context(), t, "the first edit", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(replaced) > 1
	})

	version := regexp.MustCompile(`version-(\d+)\.`)
	var oldest time.Duration
	var static, dynamic int
	look := func() bool {
		sent := time.Now()
		got := send(t, w.public.Address, host, request{method: "GET", target: target})
		require.Equal(t, 200, got.status)
		n, err := strconv.Atoi(version.FindStringSubmatch(got.body)[1])
		require.NoError(t, err)
		mu.Lock()
		end, over := replaced[n]
		mu.Unlock()
		if over && sent.After(end) {
			oldest = max(oldest, sent.Sub(end))
			require.LessOrEqual(t, sent.Sub(end), maxAge, "version %d, a file: %v", n, got.static())
		}
		if got.static() {
			static++
		} else {
			dynamic++
		}
		return got.static()
	}
	watch := func(d time.Duration) {
		for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			look()
		}
	}
	alive := (duration - 2*maxAge) / 2

	program := w.child(t)
	await(t.Context(), t, "a file", look)
	static, dynamic = 0, 0
	watch(alive)
	firstStatic, firstDynamic := static, dynamic
	kill(program)
	killed := time.Now()
	watch(maxAge)
	require.False(t, look(), "a file %v after the program was killed", time.Since(killed))
	watch(maxAge / 2)

	w.child(t)
	await(t.Context(), t, "a file", look)
	static, dynamic = 0, 0
	watch(alive)
	end()
	t.Logf("at most %v: oldest page seen %v; files served: %d of %d, then %d of %d", maxAge, oldest.Round(time.Millisecond),
		firstStatic, firstStatic+firstDynamic, static, static+dynamic)
	require.Greater(t, firstStatic, firstDynamic)
	require.Greater(t, static, dynamic)
}
