package poe

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestJournalKeepsWhatIsDark(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sw1.json")
	j, err := OpenJournal(path)
	require.NoError(t, err)
	require.Empty(t, j.Dark())
	require.NoFileExists(t, path, "nothing to tell")

	_, err = OpenJournal(path)
	require.ErrorIs(t, err, ErrBusy)

	a, b := PortID{1, 10}, PortID{1, 9}
	now := time.Now().Round(0)
	require.NoError(t, j.begin(a, "static", now, true))
	require.NoError(t, j.begin(b, "", now, true))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	require.NoError(t, j.Close())
	j, err = OpenJournal(path)
	require.NoError(t, err)
	defer j.Close()
	dark := j.Dark()
	require.Len(t, dark, 2)
	require.Equal(t, b, dark[0].Port, "in order")
	require.Equal(t, "static", dark[1].Mode)
	require.True(t, now.Equal(dark[1].Since))
	require.NoError(t, j.done(a))
	require.NoError(t, j.begin(b, "", now, false), "off for good")
	require.Empty(t, j.Dark())
	require.True(t, now.Equal(j.LastCut(a)))
	require.Zero(t, j.LastCut(PortID{1, 1}))
	left, err := filepath.Glob(path + ".tmp*")
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestJournalThatCannotBeWrittenChangesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	require.NoError(t, os.Mkdir(dir, 0o700))
	j, err := OpenJournal(filepath.Join(dir, "sw1.json"))
	require.NoError(t, err)
	defer j.Close()
	require.NoError(t, os.RemoveAll(dir))
	require.ErrorContains(t, j.begin(PortID{1, 1}, "", time.Now(), true), "sw1.json")
	require.Empty(t, j.Dark())
	_, err = OpenJournal(filepath.Join(dir, "no", "sw1.json"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestJournalClaimsAPortOnce(t *testing.T) {
	j, err := OpenJournal(filepath.Join(t.TempDir(), "sw1.json"))
	require.NoError(t, err)
	defer j.Close()
	release, err := j.claim(PortID{1, 1})
	require.NoError(t, err)
	_, err = j.claim(PortID{1, 1})
	require.ErrorIs(t, err, ErrBusy)
	_, err = j.claim(PortID{1, 2})
	require.NoError(t, err)
	release()
	_, err = j.claim(PortID{1, 1})
	require.NoError(t, err)
}

func TestJournalRefusesWhatItDoesNotUnderstand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sw1.json")
	for text, want := range map[string]string{
		"":                                  "empty",
		"{":                                 "unexpected EOF",
		`{"version":2}`:                     "version 2, want 1",
		`{"version":1,"bright":{}}`:         "bright",
		`{"version":1} {}`:                  "text after its end",
		`{"version":1,"dark":{"1":{}}}`:     "want group.port",
		`{"version":1,"dark":{"":{}}}`:      "without a number",
		`{"version":1,"cut":{"1.1":"now"}}`: "parsing time",
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := OpenJournal(path)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, path)
		kept, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, text, string(kept))
	}
	require.NoError(t, os.WriteFile(path, make([]byte, maxJournal+1), 0o600))
	_, err := OpenJournal(path)
	require.ErrorContains(t, err, "longer than 1048576 bytes")
}

func FuzzParseJournal(f *testing.F) {
	f.Add([]byte(`{"version":1,"dark":{"1.10":{"mode":"static","since":"2024-05-06T07:08:09Z"}},"cut":{"1.10":"2024-05-06T07:08:09Z"}}`))
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseJournal(text)
		if err != nil {
			return
		}
		dir := t.TempDir()
		j := &Journal{path: filepath.Join(dir, "j"), step: func(string) {}}
		require.NoError(t, j.write(s))
		require.NoError(t, j.read())
		require.Len(t, j.state.Dark, len(s.Dark))
		require.Len(t, j.state.Cut, len(s.Cut))
	})
}

func TestReadJournalMakesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "sw1.json")
	j, err := ReadJournal(path)
	require.NoError(t, err)
	require.Empty(t, j.Dark())
	require.ErrorContains(t, j.begin(PortID{1, 1}, "", time.Now(), true), "only read")
	require.NoError(t, j.Close())
	require.NoDirExists(t, filepath.Dir(path))
}
