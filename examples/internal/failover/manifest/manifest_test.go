package manifest

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var someHash = strings.Repeat("0123456789abcdef", 4)

func TestReadManifest(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []Entry
	}{
		{"ours", someHash + " 12 pool/a b\n", []Entry{{"pool/a b", 12, someHash}}},
		{"empty", "", nil},
		{"comments", "# of today\n\n" + someHash + " 0 a\n", []Entry{{"a", 0, someHash}}},
		{"sha256sum", someHash + "  ./pool/a\n" + strings.ToUpper(someHash) + " *b\n", []Entry{{"pool/a", -1, someHash}, {"b", -1, someHash}}},
		{"sha256sum of a name like a size", someHash + "  12 a\n", []Entry{{"12 a", -1, someHash}}},
		{"sha256sum with escapes", `\` + someHash + `  a\nb\\n` + "\n", []Entry{{"a\nb\\n", -1, someHash}}},
		{"Release", "Origin: Raspbian\nMD5Sum:\n 00 12 a\nSHA256:\n " + someHash + "               12 main/Packages\n " + someHash + "         1234567890 b\nSHA512:\n 00 1 c\n",
			[]Entry{{"main/Packages", 12, someHash}, {"b", 1234567890, someHash}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := all(NewReader("m", strings.NewReader(tt.text)))
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestReadManifestErrors(t *testing.T) {
	for text, says := range map[string]string{
		"nothing\n":                            "m:1: want SHA-256, size and path",
		someHash + " a b\n":                    "want SHA-256, size and path",
		someHash + " -1 b\n":                   "want SHA-256, size and path",
		someHash[1:] + " 1 b\n":                "want SHA-256, size and path",
		someHash + "\n":                        "want SHA-256, size and path",
		someHash + " 1 b\n" + someHash + " 1":  "m:2:",
		someHash + " 1 ../b\n":                 "no path below the mirror",
		someHash + " 1 /etc/passwd\n":          "no path below the mirror",
		someHash + "  \n":                      "no path below the mirror",
		"# " + strings.Repeat("x", MaxLine+10): "m:1: bufio.Scanner: token too long",
	} {
		_, err := all(NewReader("m", strings.NewReader(text)))
		require.ErrorContains(t, err, says, text)
	}
}

// What is written is read again, whatever the names.
func FuzzEntry(f *testing.F) {
	f.Add("pool/a b", int64(12))
	f.Add("a\nb\\n\r", int64(-1))
	f.Add("*a", int64(-1))
	f.Add(" 12 a", int64(0))
	f.Fuzz(func(t *testing.T, path string, size int64) {
		e := Entry{path, max(size, -1), someHash}
		got, err := parseEntry(e.String())
		if err != nil {
			return // no path below a mirror
		}
		require.NotContains(t, e.String(), "\n")
		if !strings.HasPrefix(path, "./") {
			require.Equal(t, e, got)
		}
	})
}

func FuzzReadManifest(f *testing.F) {
	f.Add("SHA256:\n " + someHash + "    12 a\n")
	f.Add("\\" + someHash + " *a\\nb\n")
	f.Fuzz(func(t *testing.T, text string) {
		entries, _ := all(NewReader("m", strings.NewReader(text)))
		for _, e := range entries {
			again, err := parseEntry(e.String())
			require.NoError(t, err)
			require.Equal(t, e, again)
		}
	})
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a-b", "a/b", "a/b-c", "a.b/c", "new\nline"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644))
	}
	require.NoError(t, os.Symlink("x", filepath.Join(dir, "link")))
	var out bytes.Buffer
	n := 0
	require.NoError(t, Write(t.Context(), &out, dir, func() { n++ }))
	require.Equal(t, 6, n)
	const x = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
	require.Equal(t, fmt.Sprintf("%[1]s 1 a/b\n%[1]s 1 a/b-c\n%[1]s 1 a-b\n%[1]s 1 a.b/c\n%[1]s 1 link\n\\%[1]s 1 new\\nline\n", x), out.String())
	before := ""
	written, err := all(NewReader("m", &out))
	require.NoError(t, err)
	for _, e := range written {
		require.Negative(t, comparePaths(before, e.Path), "in order")
		before = e.Path
	}
}

// A manifest that is written into the tree does not list itself.
func TestWriteLeavesOut(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Create(filepath.Join(dir, "MANIFEST"))
	require.NoError(t, err)
	defer self.Close()
	info, err := self.Stat()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "other"), nil, 0o644))
	require.NoError(t, Write(t.Context(), self, dir, func() {}, info))
	text, err := os.ReadFile(self.Name())
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f]{64} 0 other\n$`, string(text))
}

// all returns the entries up to the end or an error.
func all(from Entries) (got []Entry, err error) {
	for {
		e, err := from.Next()
		if err == io.EOF {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		got = append(got, e)
	}
}

func someEntries(n int) []Entry {
	entries := make([]Entry, n)
	for i := range entries {
		entries[i] = Entry{fmt.Sprintf("pool/%06d/file", i), int64(i)*7 - 1, someHash}
	}
	return entries
}

func TestSort(t *testing.T) {
	want := someEntries(1000)
	slices.SortFunc(want, byPath)
	for _, length := range []int{1, 30, 999, 1000, 1001} {
		shuffled := slices.Clone(want)
		rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if length == 1 {
			shuffled = shuffled[:30]
		}
		s := Sorter{Run: length}
		in := list(slices.Clone(shuffled))
		require.NoError(t, s.Read(&in))
		got, err := all(&s)
		require.NoError(t, err)
		require.True(t, slices.IsSortedFunc(got, byPath))
		require.ElementsMatch(t, shuffled, got)
		require.Len(t, s.files, (len(shuffled)-1)/length)
		s.Close()
		for _, f := range s.files {
			require.NoFileExists(t, f.Name())
		}
	}
}

func TestSortRefusesDuplicates(t *testing.T) {
	s := Sorter{Run: 1}
	defer s.Close()
	require.NoError(t, s.Read(&list{{"a", 1, someHash}, {"b", 1, someHash}, {"a", 2, someHash}}))
	_, err := all(&s)
	require.ErrorContains(t, err, `"a" comes twice`)
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
	a, b := Sorter{Run: 2000}, Sorter{Run: 2000}
	defer a.Close()
	defer b.Close()
	require.NoError(t, a.Read(new(generator)))
	require.NoError(t, b.Read(new(generator)))
	require.NoError(t, Compare(&a, &b, func(_, difference string) {
		if difference == "" {
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

func (g *generator) Next() (Entry, error) {
	if *g++; *g > 40_000 {
		return Entry{}, io.EOF
	}
	return Entry{fmt.Sprintf("pool/%06d/%s", (int(*g)*7919)%40_000, strings.Repeat("x", 100)), int64(*g), someHash}, nil
}

// An error in the middle of either list is told, not taken for its end.
func TestCompareBrokenManifests(t *testing.T) {
	broken := someHash + " 1 a\nnonsense\n"
	for _, texts := range [][2]string{{broken, ""}, {"", broken}, {broken, broken}} {
		err := Compare(NewReader("p", strings.NewReader(texts[0])), NewReader("s", strings.NewReader(texts[1])), func(_, _ string) {})
		require.ErrorContains(t, err, ":2: want SHA-256")
	}
}

func TestSample(t *testing.T) {
	in := list(someEntries(50))
	sample := &Sample{From: &in, Size: 5}
	got, err := all(sample)
	require.NoError(t, err)
	require.Equal(t, someEntries(50), got)
	require.Len(t, sample.Kept, 5)
	require.Subset(t, got, sample.Kept)
}

func TestTooManyFiles(t *testing.T) {
	in := list(someEntries(50))
	require.NoError(t, (&Sorter{Max: 50}).Read(&in))
	in = list(someEntries(50))
	require.EqualError(t, (&Sorter{Max: 49}).Read(&in), "more than 49 files")
}
