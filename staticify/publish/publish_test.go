package publish_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/publish"
)

// layout is a server's that names times by their seconds.
type layout struct{ width time.Duration }

func (l layout) Width() time.Duration { return l.width }

func (l layout) Bucket(start time.Time) string {
	if start.Unix()%1000 == 500 {
		return "" // a time for which nothing may be served
	}
	return fmt.Sprint(start.Unix())
}

func (l layout) Files(p *staticify.Page) ([]staticify.File, error) {
	if p.Header.Get("X-Bad") != "" {
		return nil, &staticify.Refusal{Reason: staticify.Unpublishable}
	}
	name := p.Key.FileName()
	return []staticify.File{{Name: name + ".html"}, {Name: name + ".html.gz", Encoding: "gzip"}, {Name: name + ".html.br", Encoding: "br"}}, nil
}

// epoch is when the tests begin, on the edge of a bucket.
var epoch = time.Unix(1_780_000_010, 0)

// press is a Publisher with a clock that stands still.
type press struct {
	*publish.Publisher
	root string
	now  time.Time
}

func newPress(t *testing.T) *press {
	p := &press{root: filepath.Join(t.TempDir(), "www"), now: epoch}
	p.Publisher = &publish.Publisher{Roots: []string{p.root}, Layout: layout{10 * time.Second}}
	p.Clock(func() time.Time { return p.now })
	return p
}

// page is one that was rendered so long before now.
func (p *press) page(target string, age time.Duration, body string) *staticify.Page {
	key, err := staticify.Query{Keep: []string{"p"}}.Canonical(target)
	if err != nil {
		panic(err)
	}
	return &staticify.Page{Key: key, Header: http.Header{"Content-Type": {"text/html"}}, Body: []byte(body), Rendered: p.now.Add(-age)}
}

func (p *press) publish(t *testing.T, pages ...*staticify.Page) {
	t.Helper()
	require.NoError(t, p.Publish(t.Context(), pages))
}

// at returns the files that are served at a time, and what is in them.
func (p *press) at(t *testing.T, now time.Time) map[string]string {
	t.Helper()
	return served(t, p.root, now)
}

func served(t *testing.T, root string, now time.Time) map[string]string {
	t.Helper()
	dir := filepath.Join(root, "current", fmt.Sprint(now.Truncate(10*time.Second).Unix()))
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil
	}
	files := map[string]string{}
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			data, readErr := os.ReadFile(filepath.Join(dir, name))
			files[name], err = string(data), readErr
		}
		return err
	}))
	return files
}

func (p *press) stat(t *testing.T, name string) fs.FileInfo {
	t.Helper()
	info, err := os.Stat(filepath.Join(p.root, "current", fmt.Sprint(p.now.Truncate(10*time.Second).Unix()), name))
	require.NoError(t, err)
	return info
}

// A page is found until it is 60 s old, and not a bucket longer.
func TestPagesGoByThemselves(t *testing.T) {
	p := newPress(t)
	good := p.page("/good", 0, "good")
	good.Lifetime = 45 * time.Second
	bad := p.page("/bad", 0, "bad")
	bad.Header.Set("X-Bad", "1")
	p.publish(t, p.page("/", 0, "home"), p.page("/blog/?p=1", 25*time.Second, "old"), p.page("/x/y", 55*time.Second, "too old"), good, bad,
		p.page("/future", -time.Hour, "from a clock that was wrong"))
	for seconds, want := range map[int][]string{
		0: {"^.html", "blog/^p=1^.html", "future^.html", "good^.html"}, 29: {"^.html", "blog/^p=1^.html", "future^.html", "good^.html"},
		30: {"^.html", "future^.html", "good^.html"}, 39: {"^.html", "future^.html", "good^.html"}, 40: {"^.html", "future^.html"},
		59: {"^.html", "future^.html"}, 60: nil, 3600: nil, -10: nil,
	} {
		var got []string
		for name := range p.at(t, epoch.Add(time.Duration(seconds)*time.Second)) {
			got = append(got, name)
		}
		slices.Sort(got)
		require.Equal(t, want, got, "%d s later", seconds)
	}
}

// In the middle of a bucket, the last one to be used ends before the page is too old.
func TestNeverOlder(t *testing.T) {
	p := newPress(t)
	for _, offset := range []int{0, 1, 9, 14} {
		for _, age := range []int{0, 1, 9, 10, 31, 49, 50, 59, 60} {
			p.now = epoch.Add(time.Duration(offset) * time.Second)
			p.publish(t, p.page("/", time.Duration(age)*time.Second, "home"))
			for later := range 70 {
				now := p.now.Add(time.Duration(later) * time.Second)
				if p.at(t, now) != nil {
					require.LessOrEqual(t, age+later+1, 60)
				}
			}
		}
	}
}

// A file that has not changed keeps its time, and one that has gets a later one, whatever the clock does.
func TestTimesOfFiles(t *testing.T) {
	p := newPress(t)
	text := strings.Repeat("a page ", 200)
	p.publish(t, p.page("/", 0, text), p.page("/other", 0, text))
	first, other := p.stat(t, "^.html"), p.stat(t, "other^.html")
	require.Equal(t, epoch.Unix(), first.ModTime().Unix())

	p.now = p.now.Add(10 * time.Second)
	p.publish(t, p.page("/", 0, text), p.page("/other", 0, text+"!"))
	for _, name := range []string{"^.html", "^.html.gz", "^.html.br"} {
		require.Equal(t, first.ModTime(), p.stat(t, name).ModTime())
	}
	require.True(t, os.SameFile(first, p.stat(t, "^.html")))
	require.Greater(t, p.stat(t, "other^.html").ModTime(), other.ModTime())

	last := p.stat(t, "other^.html").ModTime()
	for i, step := range []time.Duration{0, -time.Hour, 0, 2 * time.Hour, -24 * time.Hour, time.Second} {
		p.now = p.now.Add(step)
		p.publish(t, p.page("/other", 0, fmt.Sprint("version ", i)))
		require.Greater(t, p.stat(t, "other^.html").ModTime(), last)
		last = p.stat(t, "other^.html").ModTime()
	}
	// Back to an earlier text, after a generation without it.
	p.publish(t)
	p.publish(t, p.page("/other", 0, "version 0"))
	require.Greater(t, p.stat(t, "other^.html").ModTime(), last)
}

func TestEncodings(t *testing.T) {
	p := newPress(t)
	text := strings.Repeat("a page ", 200)
	p.publish(t, p.page("/long", 0, text), p.page("/short", 0, "short"))
	files := p.at(t, p.now)
	require.Len(t, files, 4)
	z, err := gzip.NewReader(strings.NewReader(files["long^.html.gz"]))
	require.NoError(t, err)
	for name, r := range map[string]io.Reader{"gzip": z, "br": brotli.NewReader(strings.NewReader(files["long^.html.br"]))} {
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, text, string(got), name)
	}
}

// A page that shrinks below what is worth compressing must not keep its old compressed copies.
func TestNoStaleEncoding(t *testing.T) {
	p := newPress(t)
	p.publish(t, p.page("/", 0, strings.Repeat("a page ", 200)))
	p.publish(t, p.page("/", 0, "short"))
	require.Equal(t, map[string]string{"^.html": "short"}, p.at(t, p.now))
}

func TestWithdraw(t *testing.T) {
	p := newPress(t)
	p.publish(t, p.page("/blog/", 0, strings.Repeat("a page ", 200)), p.page("/blog/?p=1", 30*time.Second, "query"), p.page("/blog/x", 0, "x"))
	require.NoError(t, p.Withdraw(staticify.Key{Path: "/blog/"}, staticify.Key{Path: "/none/"}))
	require.Equal(t, map[string]string{"blog/^p=1^.html": "query", "blog/x^.html": "x"}, p.at(t, p.now))
	require.Equal(t, map[string]string{"blog/x^.html": "x"}, p.at(t, p.now.Add(40*time.Second)))
	p.publish(t, p.page("/blog/", 0, "again"))
	require.Equal(t, map[string]string{"blog/^.html": "again"}, p.at(t, p.now))
	p.publish(t, p.page("/?p=1", 0, "one"), p.page("/?p=1.html", 0, "another"))
	require.NoError(t, p.Withdraw(staticify.Key{Path: "/", Query: "p=1"}))
	require.Equal(t, map[string]string{"^p=1.html^.html": "another"}, p.at(t, p.now))
	require.NoError(t, (&publish.Publisher{Roots: []string{"/nonexistent/www"}}).Withdraw(staticify.Key{Path: "/"}))
}

// All roots get the same, and one that cannot be written does not keep the others from it.
func TestSeveralRoots(t *testing.T) {
	p := newPress(t)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	second := filepath.Join(t.TempDir(), "second")
	p.Roots = append(p.Roots, file, second)
	err := p.Publish(t.Context(), []*staticify.Page{p.page("/", 0, "home")})
	require.ErrorContains(t, err, file)
	require.Equal(t, p.at(t, p.now), served(t, second, p.now))
	require.NotEmpty(t, p.at(t, p.now))
}

func TestGenerationsAreFew(t *testing.T) {
	p := newPress(t)
	generations := filepath.Join(p.root, "generations")
	for range 5 {
		require.NoError(t, os.MkdirAll(filepath.Join(generations, "1.new", "pages"), 0o755))
		p.publish(t, p.page("/", 0, "home"))
	}
	entries, err := os.ReadDir(generations)
	require.NoError(t, err)
	require.Len(t, entries, 2)
}

// A root that cannot be written keeps no other from having the pages, and the error says so.
func TestPartial(t *testing.T) {
	p := newPress(t)
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	pages := []*staticify.Page{p.page("/", 0, "home")}
	p.Roots = []string{file, p.root}
	err := p.Publish(t.Context(), pages)
	require.ErrorContains(t, err, file)
	require.ErrorIs(t, err, staticify.ErrPartial)
	require.Len(t, p.at(t, p.now), 1)
	p.Roots = p.Roots[:1]
	require.NotErrorIs(t, p.Publish(t.Context(), pages), staticify.ErrPartial)
}

// While one process publishes, another one is told.
func TestBusy(t *testing.T) {
	p := newPress(t)
	other := &publish.Publisher{Roots: p.Roots, Layout: p.Layout}
	p.Step(func(step string) {
		if step == "written" {
			require.ErrorIs(t, other.Publish(t.Context(), nil), publish.ErrBusy)
		}
	})
	p.publish(t, p.page("/", 0, "home"))
	require.NoError(t, other.Publish(t.Context(), nil))
}

// A page whose name no file system takes is refused.
func TestAccepts(t *testing.T) {
	p := newPress(t)
	long := p.page("/"+strings.Repeat("x", 200)+"?p="+strings.Repeat("1", 170), 0, "home")
	require.ErrorIs(t, p.Accepts(long), &staticify.Refusal{Reason: staticify.TooLong})
	brief := p.page("/", 0, "home")
	brief.Lifetime = 5 * time.Second
	require.ErrorIs(t, p.Accepts(brief), &staticify.Refusal{Reason: staticify.CacheControl})
	require.NoError(t, p.Accepts(p.page("/", 0, "home")))
	p.publish(t, long, p.page("/", 0, "home"))
	require.Len(t, p.at(t, p.now), 1)
}

func BenchmarkPublishUnchanged(b *testing.B) {
	p := &press{root: b.TempDir(), now: epoch}
	p.Publisher = &publish.Publisher{Roots: []string{p.root}, Layout: layout{10 * time.Second}}
	p.Clock(func() time.Time { return p.now })
	var pages []*staticify.Page
	for i := range 1000 {
		pages = append(pages, p.page(fmt.Sprintf("/2016/04/post-%d/", i), 0, string(bytes.Repeat([]byte("<p>a page</p>\n"), 1500))))
	}
	for b.Loop() {
		if err := p.Publish(b.Context(), pages); err != nil {
			b.Fatal(err)
		}
	}
}
