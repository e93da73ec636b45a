package failover

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
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
// else.
func TestLargeMirror(t *testing.T) {
	const n = 100_000
	primary := someEntries(n)
	standby := append([]entry{{"pool/extra", 1, someHash}}, primary...)
	standby[1+777].size++
	standby[1+888].hash = strings.Repeat("f", 64)
	standby = append(standby[:1+999], standby[1+1000:]...)
	slices.Reverse(standby)
	s := hosts(t, mirror(primary, none), mirror(standby, none))
	differs, same := compareMirror(t, s, Mirror{URL: "http://www.example.org/m/"})
	require.ElementsMatch(t, []string{
		primary[777].path + fmt.Sprintf(": %d bytes, the primary's has %d", primary[777].size+1, primary[777].size),
		primary[888].path + ": other contents",
		primary[999].path + ": missing at the standby",
		"pool/extra: at the standby alone",
	}, differs)
	require.Equal(t, n-3, same)
}

// While 80,000 entries go by, no more than a run of them is in memory.
func TestMemoryIsBounded(t *testing.T) {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, most, n := heap(), int64(0), 0
	a, b := sorter{length: 2000}, sorter{length: 2000}
	defer a.close()
	defer b.close()
	require.NoError(t, a.read(new(generator)))
	require.NoError(t, b.read(new(generator)))
	require.NoError(t, compareManifests(&a, &b, func(item Item) {
		if item.State == Same {
			n++
		}
		if n%10_000 == 1 {
			most = max(most, heap())
		}
	}))
	require.Equal(t, 40_000, n)
	require.Less(t, most-before, int64(6<<20), "all of them are more than 16 MiB")
}

// generator has 40,000 entries, in no order.
type generator int

func (g *generator) next() (entry, error) {
	if *g++; *g > 40_000 {
		return entry{}, io.EOF
	}
	return entry{fmt.Sprintf("pool/%06d/%s", (int(*g)*7919)%40_000, strings.Repeat("x", 100)), int64(*g), someHash}, nil
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
	require.Len(t, r.kept, 5)
}

// An error in the middle of either list is told, not taken for its end.
func TestCompareBrokenManifests(t *testing.T) {
	broken := someHash + " 1 a\nnonsense\n"
	for _, texts := range [][2]string{{broken, ""}, {"", broken}, {broken, broken}} {
		err := compareManifests(newManifestReader("p", strings.NewReader(texts[0])), newManifestReader("s", strings.NewReader(texts[1])), func(Item) {})
		require.ErrorContains(t, err, ":2: want SHA-256")
	}
}

func TestMirrorErrors(t *testing.T) {
	s := hosts(t, http.NotFoundHandler(), mirror(nil, none))
	s.Mirrors = []Mirror{{URL: "http://www.example.org/m/", Manifest: "MANIFEST"}}
	s.Mirrors[0].base, _ = url.Parse(s.Mirrors[0].URL)
	_, err := s.compareMirrors(t.Context(), func() {})
	require.EqualError(t, err, "mirrors[0]: primary 192.0.2.1: http://www.example.org/m/MANIFEST: 404 Not Found")
}
