package failover

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mirror serves a manifest of files, and the files.
func mirror(entries []entry, lacks func(entry) bool) http.Handler {
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
			if "/m/"+e.path == r.URL.Path && !lacks(e) {
				w.Header().Set("Content-Length", fmt.Sprint(e.size))
				return
			}
		}
		http.NotFound(w, r)
	})
	return mux
}

func none(entry) bool { return false }

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
// else. What is kept of them is not more than a few runs of the sorter.
func TestLargeMirror(t *testing.T) {
	const n = 100_000
	primary := someEntries(n)
	standby := append([]entry{{"pool/extra", 1, someHash}}, primary...)
	standby[1+777].size++
	standby[1+888].hash = strings.Repeat("f", 64)
	standby = append(standby[:1+999], standby[1+1000:]...)
	s := hosts(t, mirror(primary, none), mirror(standby, none))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	differs, same := compareMirror(t, s, Mirror{URL: "http://www.example.org/m/"})
	runtime.ReadMemStats(&after)
	require.ElementsMatch(t, []string{
		primary[777].path + fmt.Sprintf(": %d bytes, the primary's has %d", primary[777].size+1, primary[777].size),
		primary[888].path + ": other contents",
		primary[999].path + ": missing at the standby",
		"pool/extra: at the standby alone",
	}, differs)
	require.Equal(t, n-3, same)
	t.Logf("heap: %d KiB more, %d MiB in all were allocated", (int64(after.HeapInuse)-int64(before.HeapInuse))>>10, (after.TotalAlloc-before.TotalAlloc)>>20)
}

func TestMirrorsOfOneEntry(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, entries ...entry) string {
		path := filepath.Join(dir, name)
		var text strings.Builder
		for _, e := range entries {
			fmt.Fprintln(&text, e)
		}
		require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))
		return path
	}
	s := hosts(t, nil, nil)
	a, empty := entry{"a", 1, someHash}, write("empty")
	unknown := a
	unknown.size = -1
	for _, tt := range []struct {
		primary, standby string
		want             []string
		same             int
	}{
		{empty, empty, nil, 0},
		{write("one", a), empty, []string{"a: missing at the standby"}, 0},
		{empty, write("one", a), []string{"a: at the standby alone"}, 0},
		{write("one", a), write("two", unknown), nil, 1},
		{write("a", a), write("b", entry{"b", 1, someHash}), []string{"a: missing at the standby", "b: at the standby alone"}, 0},
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
	s := hosts(t, mirror(entries, none), mirror(entries, func(e entry) bool { return e == lost }))
	differs, same := compareMirror(t, s, Mirror{URL: "http://www.example.org/m/", Sample: 100})
	require.Equal(t, []string{lost.path + ": the standby answers 404 Not Found"}, differs)
	require.Equal(t, len(entries), same)

	r := &reservoir{size: 5}
	for _, e := range entries {
		r.add(e)
	}
	require.Len(t, r.entries, 5)
}

func TestMirrorErrors(t *testing.T) {
	s := hosts(t, http.NotFoundHandler(), mirror(nil, none))
	s.Mirrors = []Mirror{{URL: "http://www.example.org/m/", Manifest: "MANIFEST"}}
	s.Mirrors[0].base, _ = url.Parse(s.Mirrors[0].URL)
	_, err := s.compareMirrors(t.Context(), func() {})
	require.EqualError(t, err, "mirrors[0]: primary 192.0.2.1: http://www.example.org/m/MANIFEST: 404 Not Found")
}
