package failover

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPopular(t *testing.T) {
	s := hosts(t, nil, nil)
	s.log(t, "GET /b 200", "GET /a 200", "GET /b 304", "POST /c 200", "POST /c 200", "POST /c 200", "GET /gone 404", "GET /moved 301")
	s.Pages.Count = 2
	paths, err := s.Pages.popular()
	require.NoError(t, err)
	require.Equal(t, []string{"/b", "/a"}, paths)
	s.Pages.Logs = []string{"/no/such/log"}
	_, err = s.Pages.popular()
	require.ErrorContains(t, err, "/no/such/log")
}

func TestComparePages(t *testing.T) {
	var flaky atomic.Int32
	serve := func(standby bool) http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "<p>%s as of today</p><input value=%q>", r.URL, rand.Text())
		})
		mux.HandleFunc("/edited", func(w http.ResponseWriter, r *http.Request) {
			// An author saves while the standby is asked for the first time.
			if standby && flaky.Add(1) <= 2 {
				fmt.Fprint(w, "draft")
				return
			}
			fmt.Fprint(w, "final")
		})
		mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, map[bool]string{false: "/right", true: "/wrong"}[standby], http.StatusFound)
		})
		if standby {
			mux.HandleFunc("/missing", http.NotFound)
			mux.HandleFunc("/stale", func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintf(w, "<p>%s as of yesterday</p><input value=%q>", r.URL, rand.Text())
			})
			mux.HandleFunc("/broken", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
		}
		return mux
	}
	s := hosts(t, serve(false), serve(true))
	s.log(t, "GET / 200", "GET /?page=2 200", "GET /edited 200", "GET /moved 302", "GET /missing 200", "GET /stale 200", "GET /broken 200", "GET http://[ 200", "GET //evil.example/x 200")
	n := 0
	a, err := s.comparePages(t.Context(), func() { n++ })
	require.NoError(t, err)
	require.Equal(t, 9, n)
	require.Equal(t, Different, a.State)
	found := map[string]string{}
	for _, item := range a.Items {
		found[item.What] = string(item.State) + " " + item.Detail
	}
	require.Len(t, found, 6, "%v", found)
	require.Equal(t, "different status 404, the primary's is 200", found["/missing"])
	require.Contains(t, found["/stale"], "yesterday")
	require.Contains(t, found["/moved"], `"/wrong"`)
	require.Contains(t, found["/broken"], "different no answer: standby 192.0.2.2")
	require.Contains(t, found["http://["], "unknown")
	require.Contains(t, found["//evil.example/x"], "unknown")
}

func TestPrimaryIsDown(t *testing.T) {
	s := hosts(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), http.NotFoundHandler())
	s.log(t, "GET / 200")
	a, err := s.comparePages(t.Context(), func() {})
	require.NoError(t, err)
	require.Equal(t, Failed, a.State)
	require.Contains(t, a.Items[0].Detail, "primary 192.0.2.1")
}

// Of a page that is too large not all was looked at.
func TestLargePage(t *testing.T) {
	serve := func(last string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Write(make([]byte, maxPage))
			w.Write([]byte(last))
		})
	}
	s := hosts(t, serve("a"), serve("b"))
	s.log(t, "GET / 200")
	a, err := s.comparePages(t.Context(), func() {})
	require.NoError(t, err)
	require.Equal(t, Unknown, a.State)
	require.Contains(t, a.Items[0].Detail, "larger than 8 MiB")
	s = hosts(t, serve(""), serve(""))
	s.log(t, "GET / 200")
	a, err = s.comparePages(t.Context(), func() {})
	require.NoError(t, err)
	require.Equal(t, Same, a.State, a.Items)
}

func TestNoPages(t *testing.T) {
	s := hosts(t, nil, nil)
	s.log(t, "POST / 200")
	_, err := s.comparePages(t.Context(), func() {})
	require.ErrorContains(t, err, "pages.logs")
}
