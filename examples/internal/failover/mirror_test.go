package failover

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/failover/manifest"
)

var someHash = strings.Repeat("0123456789abcdef", 4)

func someEntries(n int) []manifest.Entry {
	entries := make([]manifest.Entry, n)
	for i := range entries {
		entries[i] = manifest.Entry{Path: fmt.Sprintf("pool/%06d/file", i), Size: int64(i)*7 - 1, Hash: someHash}
	}
	return entries
}

// mirror serves a manifest of files, and the files.
func mirror(entries []manifest.Entry, lacks func(manifest.Entry) bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/m/MANIFEST", func(w http.ResponseWriter, r *http.Request) {
		out := bufio.NewWriter(w)
		defer out.Flush()
		for _, e := range entries {
			fmt.Fprintln(out, e)
		}
	})
	mux.HandleFunc("/m/pool/", func(w http.ResponseWriter, r *http.Request) {
		for _, e := range entries {
			if "/m/"+e.Path == r.URL.Path && !lacks(e) {
				w.Header().Set("Content-Length", fmt.Sprint(e.Size))
				return
			}
		}
		http.NotFound(w, r)
	})
	return mux
}

func none(manifest.Entry) bool { return false }

// compareMirror returns what differs and how many files are the same.
func compareMirror(t *testing.T, s *Site, m Mirror) (differs []string, same int) {
	if m.URL != "" {
		base, err := url.Parse(m.URL)
		require.NoError(t, err)
		m.base, m.Manifest = base, defaultManifest
	}
	require.NoError(t, s.compareMirror(t.Context(), &m, func(item Item) {
		if item.State == Same {
			same++
		} else {
			differs = append(differs, item.What+": "+item.Detail)
		}
	}))
	return differs, same
}

// A mirror of 100,000 files, in two orders: what was planted is found, and nothing
// else.
func TestLargeMirror(t *testing.T) {
	const n = 100_000
	primary := someEntries(n)
	standby := append([]manifest.Entry{{Path: "pool/extra", Size: 1, Hash: someHash}}, primary...)
	standby[1+777].Size++
	standby[1+888].Hash = strings.Repeat("f", 64)
	standby = append(standby[:1+999], standby[1+1000:]...)
	slices.Reverse(standby)
	s := hosts(t, mirror(primary, none), mirror(standby, none))
	differs, same := compareMirror(t, s, Mirror{URL: "http://www.example.org/m/"})
	require.ElementsMatch(t, []string{
		primary[777].Path + fmt.Sprintf(": %d bytes, the primary's has %d", primary[777].Size+1, primary[777].Size),
		primary[888].Path + ": other contents",
		primary[999].Path + ": missing at the standby",
		"pool/extra: at the standby alone",
	}, differs)
	require.Equal(t, n-3, same)
}

func TestMirrorsOfOneEntry(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, entries ...manifest.Entry) string {
		path := filepath.Join(dir, name)
		var text strings.Builder
		for _, e := range entries {
			fmt.Fprintln(&text, e)
		}
		require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
		return path
	}
	s := hosts(t, nil, nil)
	a, empty := manifest.Entry{Path: "a", Size: 1, Hash: someHash}, write("empty")
	unknown := a
	unknown.Size = -1
	for _, tt := range []struct {
		primary, standby string
		want             []string
		same             int
	}{
		{empty, empty, nil, 0},
		{write("one", a), empty, []string{"a: missing at the standby"}, 0},
		{empty, write("one", a), []string{"a: at the standby alone"}, 0},
		{write("one", a), write("two", unknown), nil, 1},
		{write("a", a), write("b", manifest.Entry{Path: "b", Size: 1, Hash: someHash}), []string{"a: missing at the standby", "b: at the standby alone"}, 0},
	} {
		differs, same := compareMirror(t, s, Mirror{Primary: tt.primary, Standby: tt.standby})
		require.Equal(t, tt.want, differs)
		require.Equal(t, tt.same, same)
	}
}

// A manifest that was copied says nothing about the files: those are asked for.
func TestSample(t *testing.T) {
	entries := someEntries(50)[1:]
	lost := entries[7]
	s := hosts(t, mirror(entries, none), mirror(entries, func(e manifest.Entry) bool { return e == lost }))
	differs, same := compareMirror(t, s, Mirror{URL: "http://www.example.org/m/", Sample: 100})
	require.Equal(t, []string{lost.Path + ": the standby answers 404 Not Found"}, differs)
	require.Equal(t, len(entries), same)
}

// An origin that answers anything with a page has no files.
func TestSampleOfLies(t *testing.T) {
	entries := someEntries(3)[1:]
	liar := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.Header().Set("Transfer-Encoding", "chunked")
			return
		}
		mirror(entries, none).ServeHTTP(w, r)
	})
	s := hosts(t, mirror(entries, none), liar)
	differs, _ := compareMirror(t, s, Mirror{URL: "http://www.example.org/m/", Sample: 2})
	require.ElementsMatch(t, []string{
		entries[0].Path + ": the standby does not say how large it is",
		entries[1].Path + ": the standby does not say how large it is",
	}, differs)
}

func TestMirrorErrors(t *testing.T) {
	s := hosts(t, http.NotFoundHandler(), mirror(nil, none))
	s.Mirrors = []Mirror{{URL: "http://www.example.org/m/", Manifest: "MANIFEST"}}
	s.Mirrors[0].base, _ = url.Parse(s.Mirrors[0].URL)
	_, err := s.compareMirrors(t.Context(), func() {})
	require.EqualError(t, err, "mirrors[0]: primary 192.0.2.1: http://www.example.org/m/MANIFEST: 404 Not Found")
}
