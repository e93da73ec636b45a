package tour

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTour(t *testing.T) {
	var out bytes.Buffer
	tour := Tour{Dir: t.TempDir(), Out: &out}
	page, err := tour.Run(t.Context())
	require.NoError(t, err)
	require.Len(t, tour.done, len(stops))
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	for _, r := range tour.done {
		require.NotEmpty(t, r.Facts, r.Name)
		require.GreaterOrEqual(t, strings.Count(r.Code, "\n"), 2, r.Name)
		require.NotContains(t, r.Code, "err != nil", r.Name)
		require.Contains(t, string(text), `<section id="`+r.Name+`">`)
		require.Contains(t, out.String(), r.Title)
	}
	_, err = os.Stat(tour.scratch)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestStopFails: a stop that fails is named, and no page is written.
func TestStopFails(t *testing.T) {
	dir := t.TempDir()
	tour := Tour{Dir: dir + "/out", Out: &bytes.Buffer{}}
	t.Setenv("TMPDIR", dir+"/missing")
	_, err := tour.Run(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = os.Stat(tour.Dir + "/index.html")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestShown(t *testing.T) {
	_, err := shown("picture")
	require.EqualError(t, err, "picture.go has no lines that are marked to be shown")
}
