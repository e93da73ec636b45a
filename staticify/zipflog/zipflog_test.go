package zipflog

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/staticify/accesslog"
)

// What was published: the first pages of 1,015, and their share of the requests.
var published = map[int]float64{100: 0.69, 200: 0.77, 500: 0.885, 1000: 0.997}

func TestShares(t *testing.T) {
	g := New(1)
	for n, share := range published {
		require.InDelta(t, share, g.Share(n), 0.005, n)
	}
	require.InDelta(t, 1, g.Share(pages), 1e-9)
	require.Len(t, g.Paths(), pages)

	const requests = 200_000
	var counts [pages]int
	queries := 0
	for range requests {
		r := g.Next()
		counts[r.Rank]++
		if strings.Contains(r.Target, "?") {
			queries++
		}
	}
	sum := 0
	for i, n := range counts {
		sum += n
		if share, ok := published[i+1]; ok {
			require.InDelta(t, share, float64(sum)/requests, 0.01, i+1)
		}
	}
	require.InDelta(t, 0.126, float64(queries)/requests, 0.005)
}

// A seed gives the same log, whenever and wherever; another seed gives another one.
func TestSeed(t *testing.T) {
	text := func(seed uint64) string {
		g := New(seed)
		var b []byte
		for range 100 {
			b = g.AppendCombined(b)
		}
		return string(b)
	}
	require.Equal(t, text(1), text(1))
	require.NotEqual(t, text(1), text(2))
	require.True(t, strings.HasPrefix(text(1), `10.0.3.123 - - [01/Mar/2026:12:00:00 +0000] "GET /forums/viewtopic/1003?utm_source=newsletter&utm_campaign=week-0 HTTP/1.1" 200 4111 `), text(1)[:200])
}

// The lines are ones, and say what Next says.
func TestAppendCombined(t *testing.T) {
	lines, requests := New(3), New(3)
	lines.Step, requests.Step = time.Second, time.Second
	for range 1000 {
		want := requests.Next()
		r := accesslog.NewReader(bytes.NewReader(lines.AppendCombined(nil)), accesslog.Format{})
		h, err := r.Next()
		require.NoError(t, err)
		require.Equal(t, 200, h.Status)
		require.Equal(t, "GET", string(h.Method))
		require.Equal(t, want, Request{h.Time, h.Client, want.Rank, string(h.Target)})
	}
}
