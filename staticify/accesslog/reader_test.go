package accesslog

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// line is one line of a log: the target at so many seconds after noon.
func line(second int, target string) string {
	return fmt.Sprintf("1.2.3.4 - - [10/Oct/2000:12:%02d:%02d +0000] \"GET %s HTTP/1.1\" 200 1 \"-\" \"x\"\n", second/60, second%60, target)
}

func targets(t *testing.T, readers ...*Reader) string {
	var all []string
	for h, err := range Merge(readers...) {
		require.NoError(t, err)
		all = append(all, string(h.Target))
	}
	return strings.Join(all, " ")
}

func TestMerge(t *testing.T) {
	a := NewReader(strings.NewReader(line(1, "/a1")+line(4, "/a4")+line(4, "/a4b")), Format{})
	b := NewReader(strings.NewReader(line(2, "/b2")+line(3, "/b3")+line(9, "/b9")), Format{})
	c := NewReader(strings.NewReader(""), Format{})
	require.Equal(t, "/a1 /b2 /b3 /a4 /a4b /b9", targets(t, a, b, c))
}

func TestMergeStops(t *testing.T) {
	r := NewReader(strings.NewReader(line(1, "/1")+line(2, "/2")), Format{})
	for h := range r.All() {
		require.Equal(t, "/1", string(h.Target))
		break
	}
}

// One log that breaks off does not end the others.
func TestMergeGoesOnAfterAnError(t *testing.T) {
	broken := errors.New("broken")
	a := NewReader(io.MultiReader(strings.NewReader(line(1, "/a1")), iotest.ErrReader(broken)), Format{})
	b := NewReader(strings.NewReader(line(2, "/b2")), Format{})
	var got []string
	var errs []error
	for h, err := range Merge(a, b) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		got = append(got, string(h.Target))
	}
	require.Equal(t, []error{broken}, errs)
	require.Equal(t, []string{"/a1", "/b2"}, got)
}

func TestOpen(t *testing.T) {
	text := line(1, "/1") + "garbage\n" + strings.TrimSuffix(line(2, "/2"), "\n")
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, err := io.WriteString(w, text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	dir := t.TempDir()
	for name, content := range map[string]string{"plain": text, "zipped": zipped.String()} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		r, err := Open(path, Format{})
		require.NoError(t, err)
		require.Equal(t, "/1 /2", targets(t, r), name)
		require.Equal(t, Stats{Lines: 3, Malformed: 1}, r.Stats())
		require.NoError(t, r.Close())
		require.Equal(t, "/1 /2", targets(t, NewReader(strings.NewReader(content), Format{})), name)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cut"), zipped.Bytes()[:zipped.Len()-9], 0o600))
	r, err := Open(filepath.Join(dir, "cut"), Format{})
	require.NoError(t, err)
	defer r.Close()
	var last error
	for _, err := range r.All() {
		last = err
	}
	require.ErrorIs(t, last, io.ErrUnexpectedEOF)
	require.ErrorContains(t, last, filepath.Join(dir, "cut")+": after line ")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bad"), []byte{0x1f, 0x8b, 0}, 0o600))
	bad, err := Open(filepath.Join(dir, "bad"), Format{})
	require.NoError(t, err)
	defer bad.Close()
	_, err = bad.Next()
	require.ErrorContains(t, err, "bad: after line 0: ")
	_, err = bad.Next()
	require.Equal(t, io.EOF, err)
	_, err = Open(filepath.Join(dir, "none"), Format{})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestLongLines(t *testing.T) {
	longest := line(1, "/"+strings.Repeat("a", MaxLine-len(line(1, "/"))+1))
	require.Len(t, longest, MaxLine+1)
	for _, tooLong := range []int{MaxLine + 1, 4 * MaxLine, 4*MaxLine + 1, 10 * MaxLine} {
		text := longest + strings.Repeat("b", tooLong) + "\n" + line(2, "/2") + strings.Repeat("c", tooLong)
		for name, r := range map[string]io.Reader{
			"at once": strings.NewReader(text), "in pieces": iotest.HalfReader(strings.NewReader(text)),
			"with the error": iotest.DataErrReader(strings.NewReader(text)),
		} {
			log := NewReader(r, Format{})
			require.True(t, strings.HasSuffix(targets(t, log), "a /2"), name)
			require.Equal(t, Stats{Lines: 4, TooLong: 2}, log.Stats(), "%s, %d", name, tooLong)
		}
	}
}

func TestCarriageReturns(t *testing.T) {
	text := strings.ReplaceAll(line(1, "/1")+line(2, "/2"), "\n", "\r\n")
	require.Equal(t, "/1 /2", targets(t, NewReader(strings.NewReader(text), Format{})))
}

// A reader that gives nothing and no error is an error, not a loop.
func TestNoProgress(t *testing.T) {
	_, err := NewReader(stuck{}, Format{}).Next()
	require.ErrorIs(t, err, io.ErrNoProgress)
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }
