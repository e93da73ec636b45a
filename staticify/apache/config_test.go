package apache_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/apache"
)

// In the hour that comes twice there is no time to serve a page in.
func TestSummerTimeEnds(t *testing.T) {
	london, err := time.LoadLocation("Europe/London")
	require.NoError(t, err)
	c := apache.Config{Location: london}
	start := time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC) // 01:00 BST; at 01:00 UTC it is 01:00 again
	for second := -7200; second < 4*3600; second += 10 {
		at := start.Add(time.Duration(second) * time.Second)
		twice := second >= 0 && second < 7200
		require.Equal(t, twice, c.Bucket(at) == "", at)
	}
	seen := map[string]bool{}
	for at := start.Add(-24 * time.Hour); at.Before(start.Add(24 * time.Hour)); at = at.Add(10 * time.Second) {
		name := c.Bucket(at)
		require.False(t, name != "" && seen[name], name)
		seen[name] = true
	}
	require.Equal(t, "2026070112345", apache.Config{Location: time.UTC}.Bucket(time.Date(2026, 7, 1, 12, 34, 50, 0, time.UTC)))
	require.Equal(t, "20260701123457", apache.Config{Location: time.UTC, MaxAge: 5 * time.Second}.Bucket(time.Date(2026, 7, 1, 12, 34, 57, 0, time.UTC)))
}

// No page's file is another page's too, though a visitor picks the query.
func TestNamesOfFiles(t *testing.T) {
	owner := map[string]string{}
	for _, query := range []string{"", "s=x", "s=x.br", "s=x.gz", "s=x.gz.asis", "s=", "s", "s=.gz"} {
		files, err := apache.Config{}.Files(&staticify.Page{Key: staticify.Key{Path: "/", Query: query}, Header: http.Header{"Content-Type": {"text/html"}}})
		require.NoError(t, err)
		for _, f := range files {
			require.NotContains(t, owner, f.Name)
			owner[f.Name] = query
		}
	}
}
