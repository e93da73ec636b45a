package staticify

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/staticify/accesslog"
)

func hit(target string, client int, at time.Duration) *accesslog.Hit {
	return &accesslog.Hit{
		Time: noon.Add(at), Client: netip.AddrFrom4([4]byte{192, 0, byte(client >> 8), byte(client)}),
		Method: []byte("GET"), Target: []byte(target), Status: 200,
	}
}

// observe has n clients ask for a page, one each millisecond.
func observe(r *Ranker, target string, n int) {
	for i := range n {
		r.Observe(hit(target, i, time.Duration(i)*time.Millisecond))
	}
}

func ranked(r *Ranker, n int) (all []string) {
	for _, page := range r.Top(n) {
		all = append(all, page.Key.String())
	}
	return all
}

func TestRank(t *testing.T) {
	r := &Ranker{Query: testQuery}
	observe(r, "/third", 3)
	observe(r, "/first?page=2&utm_source=x", 9)
	observe(r, "/second", 5)
	observe(r, "/alone", 1)
	require.Equal(t, []string{"/first?page=2", "/second", "/third"}, ranked(r, 10))
	require.Equal(t, []string{"/first?page=2"}, ranked(r, 1))
	top := r.Top(1)[0]
	require.Equal(t, Key{"/first", "page=2"}, top.Key)
	require.InDelta(t, 9, top.Hits, 0)
	require.Zero(t, top.Error)
	require.InDelta(t, 9, top.Clients, 2)
	require.Equal(t, uint64(18), r.Requests())
	require.Empty(t, new(Ranker).Top(5))
	require.Empty(t, new(Ranker).Refused())
}

// One client that asks for many pages very often puts none of them before those that many ask for, whatever the
// number of its requests, even when each page has a second visitor.
func TestOneBotDoesNotFillTheCache(t *testing.T) {
	r := &Ranker{Capacity: 800}
	for round := range 200 {
		for page := range 100 {
			r.Observe(hit(fmt.Sprint("/bot/", page), 7, time.Duration(round)*time.Second))
		}
		r.Observe(hit(fmt.Sprint("/human/", round%4), round, time.Duration(round)*time.Second))
	}
	require.Len(t, r.Top(100), 4)
	for page := range 100 {
		r.Observe(hit(fmt.Sprint("/bot/", page), 8, 200*time.Second))
	}
	for _, name := range ranked(r, 4) {
		require.Contains(t, name, "/human/")
	}
}

// A log that has no addresses, or that of a proxy in all lines, must not give nothing without a word.
func TestClients(t *testing.T) {
	r := new(Ranker)
	for range 5 {
		h := hit("/", 0, 0)
		h.Client = netip.Addr{}
		r.Observe(h)
	}
	require.Equal(t, []string{"/"}, ranked(r, 10))
	r.MinClients = 1
	observe(r, "/x", 1)
	require.Contains(t, ranked(r, 10), "/x")
}

func TestObserveRefuses(t *testing.T) {
	r := &Ranker{UserAgent: "staticify"}
	for want, change := range map[Reason]func(*accesslog.Hit){
		Method:        func(h *accesslog.Hit) { h.Method = []byte("POST") },
		Authorization: func(h *accesslog.Hit) { h.User = []byte("bob") },
		Asset:         func(h *accesslog.Hit) { h.Target = []byte("/style.css?ver=6.1") },
		Redirect:      func(h *accesslog.Hit) { h.Status = 301 },
		Status:        func(h *accesslog.Hit) { h.Status = 404 },
		BadPath:       func(h *accesslog.Hit) { h.Target = []byte("/../x") },
		UnknownQuery:  func(h *accesslog.Hit) { h.Target = []byte("/?preview=1") },
	} {
		h := hit("/", 1, 0)
		change(h)
		require.Equal(t, want, r.Observe(h))
	}
	for _, change := range []func(*accesslog.Hit){
		func(h *accesslog.Hit) {}, func(h *accesslog.Hit) { h.Method = []byte("HEAD") }, func(h *accesslog.Hit) { h.Status = 304 },
		func(h *accesslog.Hit) { h.Status = 0 }, func(h *accesslog.Hit) { h.Target = []byte("/v1.2/") },
		func(h *accesslog.Hit) { h.UserAgent = []byte("staticify") },
	} {
		h := hit("/", 1, 0)
		change(h)
		require.Zero(t, r.Observe(h))
	}
	require.Equal(t, uint64(12), r.Requests(), "our own are not requests")
	require.ElementsMatch(t, []Refused{
		{Method, "POST", 1}, {Authorization, "", 1}, {Asset, "", 1}, {Redirect, "301", 1}, {Status, "404", 1},
		{BadPath, "dot segment", 1}, {UnknownQuery, "preview", 1},
	}, r.Refused())
}

func TestDecay(t *testing.T) {
	r := &Ranker{HalfLife: time.Minute}
	observe(r, "/old", 80)
	for i := range 30 {
		r.Observe(hit("/new", i, 3*time.Minute))
	}
	top := r.Top(2)
	require.Equal(t, "/new", top[0].Key.Path)
	require.InDelta(t, 10, top[1].Hits, 0.01)
	require.InDelta(t, 10, top[1].Clients, 8)

	// A year without a request, and a clock that is set back.
	r.Observe(hit("/new", 1, 365*24*time.Hour))
	require.Less(t, r.pages.Top(1)[0].Count, 1.1)
	r.Age(noon)
	r.Observe(hit("/back", 1, 0))
	r.Observe(hit("/back", 2, time.Second))
	require.Equal(t, []string{"/back"}, ranked(r, 1))
	r.Observe(hit("/back", 3, time.Second+time.Minute))
	require.InDelta(t, 2, r.Top(1)[0].Hits, 0.01, "the clock goes on from where it was set to")
}

// The logs of two servers are read one after the other, hours of them: the second one does not wear off what the first
// one said.
func TestLogsOneAfterTheOther(t *testing.T) {
	r := &Ranker{HalfLife: time.Minute}
	for _, name := range []string{"/first", "/second"} {
		for i := range 5 * 3600 {
			r.Observe(hit(name, i, time.Duration(i)*time.Second))
		}
	}
	top := r.Top(2)
	require.Len(t, top, 2)
	require.InEpsilon(t, top[0].Hits, top[1].Hits, 0.3)
}

// Counts halve while nothing is asked for.
func TestAge(t *testing.T) {
	r := &Ranker{HalfLife: time.Minute}
	r.Age(noon)
	observe(r, "/", 80)
	r.Age(noon.Add(3 * time.Minute))
	require.InDelta(t, 10, r.Top(1)[0].Hits, 0.01)
	r.Age(noon.Add(2 * time.Minute))
	require.InDelta(t, 10, r.Top(1)[0].Hits, 0.01)
}

// At an even rate, Rate is that rate, however the counts were halved.
func TestRate(t *testing.T) {
	for _, span := range []time.Duration{10 * time.Second, 55 * time.Second, 5 * time.Minute, 301 * time.Second} {
		r := &Ranker{HalfLife: time.Minute}
		for at := time.Duration(0); at < span; at += 100 * time.Millisecond {
			r.Observe(hit("/", int(at/time.Millisecond), at))
		}
		require.InEpsilon(t, 10, r.Top(1)[0].Rate, 0.05, span)
	}
}

func TestMergeRankers(t *testing.T) {
	a, b, both := &Ranker{HalfLife: time.Minute}, &Ranker{HalfLife: time.Minute}, &Ranker{HalfLife: time.Minute}
	for i := range 600 {
		h := hit(fmt.Sprint("/", i%7), i, time.Duration(i)*time.Second)
		both.Observe(h)
		if i%3 == 0 || i > 500 {
			a.Observe(h) // goes on longer than b
		} else {
			b.Observe(h)
		}
	}
	before := b.Top(10)
	for _, r := range []*Ranker{a, new(Ranker)} {
		r.HalfLife = time.Minute
		if r != a {
			r.Merge(a)
		}
		r.Merge(b)
		r.Merge(new(Ranker))
		require.Equal(t, both.Requests(), r.Requests())
		want := both.Top(10)
		for i, page := range r.Top(10) {
			require.Equal(t, want[i].Key, page.Key)
			require.InDelta(t, want[i].Hits, page.Hits, 0.001)
			require.Equal(t, want[i].Clients, page.Clients)
			require.InEpsilon(t, want[i].Rate, page.Rate, 0.01)
		}
		a = both // merged already: the second turn merges all into an empty Ranker
		b = new(Ranker)
	}
	require.NotEmpty(t, before)
}

func TestRankerBinary(t *testing.T) {
	r := &Ranker{HalfLife: time.Minute}
	for i := range 300 {
		r.Observe(hit(fmt.Sprint("/", i%11), i, time.Duration(i)*time.Second))
		r.Observe(hit(fmt.Sprint("/?x", i%3), i, time.Duration(i)*time.Second))
	}
	data, err := r.MarshalBinary()
	require.NoError(t, err)
	read := &Ranker{HalfLife: time.Minute}
	require.NoError(t, read.UnmarshalBinary(data))
	require.Equal(t, r.Top(20), read.Top(20))
	require.Equal(t, r.Refused(), read.Refused())
	require.Equal(t, r.Requests(), read.Requests())
	for _, both := range []*Ranker{r, read} {
		both.Observe(hit("/", 1, time.Hour))
	}
	require.Equal(t, r.Top(20), read.Top(20))

	top := read.Top(20)
	for n := 0; n < len(data); n += 13 {
		require.Error(t, read.UnmarshalBinary(data[:n]))
	}
	require.ErrorContains(t, read.UnmarshalBinary(append(data, 0)), "remove the file")
	require.Equal(t, top, read.Top(20), "bad data changes nothing")

	// A budget of more pages is one for more counters, also where there were fewer.
	for capacity := range map[int]bool{7: true, 9000: true} {
		read = &Ranker{HalfLife: time.Minute, Capacity: capacity}
		require.NoError(t, read.UnmarshalBinary(data))
		require.Equal(t, capacity, read.pages.Capacity())
	}
	require.Equal(t, r.Requests()-1, read.Requests())

	data, err = new(Ranker).MarshalBinary()
	require.NoError(t, err)
	require.NoError(t, new(Ranker).UnmarshalBinary(data))
}

func TestObserveDoesNotAllocate(t *testing.T) {
	r := &Ranker{Query: testQuery}
	hits := []*accesslog.Hit{hit("/a/b/", 1, 0), hit("/a/?page=2&utm_x=1", 1, 0), hit("/?unknown=1", 1, 0), hit("/a.css", 1, 0)}
	for _, h := range hits {
		r.Observe(h)
		require.Zero(t, testing.AllocsPerRun(100, func() { r.Observe(h) }), "%s", h.Target)
	}
}
