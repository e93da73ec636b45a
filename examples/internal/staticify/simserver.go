package staticify

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"os"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/zipflog"
)

const (
	pagesOfSite = 1015
	originTakes = 40 * time.Millisecond
	// client is the header that says who a simulated visitor is.
	client = "X-Simulated-Client"
	// stamp is the comment at the end of a page: when it was made.
	stamp = "<!-- made at %d ns -->\n"
)

// origin is a site with a page for each path, which it makes slowly.
type origin struct {
	ranks map[string]int
}

func newOrigin() *origin {
	o := &origin{ranks: map[string]int{}}
	for rank, path := range zipflog.New(1).Paths() {
		o.ranks[path] = rank
	}
	return o
}

// ServeHTTP makes pages for everybody, but for one with a token, one that sets
// a cookie, and all those of a visitor who is logged in.
func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	made := time.Now()
	time.Sleep(originTakes)
	rank, known := o.ranks[r.URL.Path]
	if !known {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	who := "anybody"
	if c, err := r.Cookie("session"); err == nil {
		who = c.Value
	}
	token := ""
	switch rank {
	case 5:
		token = fmt.Sprint(made.UnixNano())
	case 9:
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "new"})
	}
	fmt.Fprintf(w, "<title>%s?page=%s for %s</title><p>%s</p>\n", r.URL.Path, r.FormValue("page"), who, token)
	fmt.Fprintf(w, stamp, made.UnixNano())
}

// front is the web server: files for what may have one, and the origin for all
// else. It keeps the access log.
type front struct {
	root   *os.Root
	query  staticify.Query
	origin http.Handler
	mu     sync.Mutex // of log
	log    io.Writer
}

func newFront(root *os.Root, origin *url.URL, query staticify.Query, log io.Writer) *front {
	return &front{root: root, query: query, origin: httputil.NewSingleHostReverseProxy(origin), log: log}
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	counted := &response{ResponseWriter: w, status: http.StatusOK}
	if !f.file(counted, r) {
		f.origin.ServeHTTP(counted, r)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	fmt.Fprintf(f.log, "%s - - [%s] \"%s %s HTTP/1.1\" %d %d \"-\" %q\n", r.Header.Get(client),
		time.Now().Format("02/Jan/2006:15:04:05 -0700"), r.Method, r.RequestURI, counted.status, counted.bytes, r.UserAgent())
}

// file answers with a file, if the request may have one and there is one.
func (f *front) file(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || len(r.Cookies()) > 0 || r.Header.Get("Authorization") != "" {
		return false
	}
	key, err := f.query.Canonical(r.RequestURI)
	if err != nil {
		return false
	}
	file, err := f.root.Open(path.Join("current", layout{}.Bucket(time.Now()), key.FileName()+".page"))
	if err != nil {
		return false
	}
	defer file.Close()
	reader := bufio.NewReader(file)
	head, err := textproto.NewReader(reader).ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) {
		return false
	}
	for name, values := range head {
		w.Header()[name] = slices.Clone(values)
	}
	w.Header().Set("X-Simulated-File", "yes")
	_, err = io.Copy(w, reader)
	return err == nil
}

// response remembers what a log tells of an answer.
type response struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *response) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *response) Write(b []byte) (int, error) {
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}
