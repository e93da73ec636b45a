package failover

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/cli"
)

func TestHistogram(t *testing.T) {
	var h histogram
	require.Zero(t, h.quantile(0.5))
	var all []time.Duration
	for range 10_000 {
		d := time.Duration(rand.ExpFloat64() * float64(20*time.Millisecond))
		all = append(all, d)
		h.add(d)
	}
	slices.Sort(all)
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 0.999} {
		exact := all[int(math.Ceil(q*float64(len(all))))-1]
		require.GreaterOrEqual(t, h.quantile(q), exact-1, "%v", q) // buckets begin between two nanoseconds
		require.LessOrEqual(t, float64(h.quantile(q)), float64(exact)*bucketWidth+1, "%v", q)
	}
	require.Equal(t, all[len(all)-1], h.quantile(1))
	h.add(1000 * time.Hour)
	require.Equal(t, 1000*time.Hour, h.max)
}

// An origin that does not answer anything for a while gets all requests all the
// same, when they are due, and the wait counts for each of them.
func TestOpenLoop(t *testing.T) {
	var arrived atomic.Int32
	const n = 40
	all := make(chan struct{})
	standby := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if arrived.Add(1) == n {
			close(all)
		}
		<-all // nobody is answered before the last one has come
	})
	s := hosts(t, nil, standby)
	s.log(t, "GET /a 200", "POST /b 200", "HEAD /c 200", "GET http://[ 200")
	s.Load = Load{Rate: 200, Duration: n * 5 * time.Millisecond, P99: time.Millisecond, Errors: 0.001}
	a, err := s.load(t.Context(), func() {})
	require.NoError(t, err)
	require.Equal(t, n, a.Load.Sent)
	require.Zero(t, a.Load.Errors, a.Load.Error)
	require.GreaterOrEqual(t, time.Duration(a.Load.Max), (n-1)*5*time.Millisecond)
	require.GreaterOrEqual(t, time.Duration(a.Load.P50), (n/2-1)*5*time.Millisecond)
	require.Equal(t, Different, a.State)
	require.Equal(t, "latency", a.Items[0].What)
}

func TestLoadCountsErrors(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	standby := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.Method+" "+r.URL.String()]++
		mu.Unlock()
		switch r.URL.Path {
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		case "/gone":
			http.NotFound(w, r)
		case "/reset":
			panic(http.ErrAbortHandler)
		}
	})
	s := hosts(t, nil, standby)
	s.log(t, "GET /ok?x=1 304", "GET /broken 200", "GET /gone 200", "GET /gone 502", "GET /reset 200", "GET /broken 500", "DELETE /ok 200")
	s.Load = Load{Rate: 1000, Duration: 60 * time.Millisecond, P99: time.Minute, Errors: 0.5}
	a, err := s.load(t.Context(), func() {})
	require.NoError(t, err)
	require.Equal(t, Same, a.State, a.Items)
	require.Equal(t, 60, a.Load.Sent)
	require.Equal(t, 30, a.Load.Errors, "what the log's visitors got must be there")
	require.Equal(t, 10, a.Load.Other, "what was broken may be gone")
	require.NotEmpty(t, a.Load.Error)
	mu.Lock()
	require.Equal(t, 10, asked["GET /ok?x=1"])
	require.NotContains(t, asked, "DELETE /ok")
	mu.Unlock()

	s.Load.Errors = 0.001
	a, err = s.load(t.Context(), func() {})
	require.NoError(t, err)
	require.Equal(t, Different, a.State)
	require.Contains(t, a.Items[0].Detail, "50.00 % of the requests failed, 0.10 % may")
}

// A host that is too slow to send blames nobody else.
func TestLateHere(t *testing.T) {
	r := &replay{figures: Figures{Sent: 1, Elapsed: Seconds(time.Second)}}
	r.latency.add(2 * time.Second)
	require.Equal(t, Different, r.judge(Load{P99: time.Second, Errors: 1}).State)
	r.late(1500 * time.Millisecond)
	r.late(time.Millisecond)
	a := r.judge(Load{P99: time.Second, Errors: 1})
	require.Equal(t, Unknown, a.State)
	require.Contains(t, a.Items[0].Detail, "sent requests up to 1.5s late")
}

// A rate of which no request would ever be due, or all at once, is none.
func TestRates(t *testing.T) {
	s := hosts(t, nil, nil)
	s.log(t, "GET / 200")
	std, _, _ := streams()
	for _, rate := range []float64{-1, 1e-12, maxRate + 1, math.NaN(), math.Inf(1)} {
		var usage *cli.UsageError
		require.ErrorAs(t, s.Replay(t.Context(), rate, time.Millisecond, false, std), &usage, "%v", rate)
		_, err := read("test.yaml", fmt.Appendf(nil, "{primary: [192.0.2.1], standby: [192.0.2.2], load: {rate: %v}}", rate))
		require.Error(t, err, "%v", rate)
	}
	_, err := read("test.yaml", []byte("{primary: [192.0.2.1], standby: [192.0.2.2], load: {errors: .nan}}"))
	require.ErrorContains(t, err, "load.errors")
}

func TestLoadOfNothing(t *testing.T) {
	s := hosts(t, nil, nil)
	s.log(t, "POST /a 200")
	s.Load = Load{Rate: 1, Duration: time.Second}
	_, err := s.load(t.Context(), func() {})
	require.ErrorContains(t, err, "no request that could be replayed")
}

func TestBusiestMinute(t *testing.T) {
	s := hosts(t, nil, nil)
	requests := make([]string, 90) // a second apart: 60 in the first minute
	for i := range requests {
		requests[i] = "GET / 200"
	}
	s.log(t, requests...)
	rate, err := busiestMinute(s.Pages.readLogs())
	require.NoError(t, err)
	require.Equal(t, 1.0, rate)
}

func TestSecondsAreNumbers(t *testing.T) {
	text, err := json.Marshal(Figures{P99: Seconds(1500 * time.Microsecond)})
	require.NoError(t, err)
	require.Contains(t, string(text), `"p99_seconds":0.001500`)
	var f Figures
	require.NoError(t, json.Unmarshal(text, &f))
	require.Equal(t, Seconds(1500*time.Microsecond), f.P99)
}
