package staticify

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/staticify/accesslog"
)

// Each log has a place of its own, and there are counters for all pages of the
// budget.
func TestSite(t *testing.T) {
	c, err := Parse("staticify.yaml", []byte(`
origin: {url: "http://127.0.0.1:8081", host: www.example.org}
logs: [/srv/a/b.log, /srv/a-b.log, /srv-a/b.log]
publish: [/var/www]
budget: {pages: 5000}
`))
	require.NoError(t, err)
	site, err := c.site(t.TempDir(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	places := map[string]bool{}
	for _, log := range site.Logs {
		places[log.(*accesslog.Follower).State] = true
	}
	require.Len(t, places, 3)
	require.Equal(t, 40_000, site.Ranker.Capacity)
}
