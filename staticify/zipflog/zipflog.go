// Package zipflog makes access logs that are like real ones and the same each time, for tests and simulations.
//
//	g := zipflog.New(1)
//	for range 1_000_000 {
//		line = g.AppendCombined(line[:0])
//		w.Write(line)
//	}
//
// How often each of the 1,015 pages is asked for follows what was published about the log of a real site: its first 100,
// 200, 500 and 1,000 pages took 69, 77, 88.5 and 99.7 % of the requests. A Zipf-Mandelbrot law for 88 % of the requests
// and chance for the others is within half a percent of these figures. One request in eight has a query, two in five
// have no referrer, and a line has 250 bytes, where in that log it has 237.
//
// It is no model of time: requests come evenly, and the pages keep their places. Its interface may change before
// version 1.
package zipflog

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"sort"
	"time"
)

// The law: weight 1/(rank+shift)^exponent for most, and equal weights for the others.
const (
	pages     = 1015
	exponent  = 1.18
	shift     = 1
	byChance  = 0.12
	withQuery = 0.126
)

// Generator makes requests. It is not safe for use from several goroutines.
type Generator struct {
	Now     time.Time     // of the next request; New sets some time in 2026
	Step    time.Duration // between two requests; New sets 1 ms
	Clients int           // how many there are; New sets 10,000

	random *rand.Rand
	upTo   []float64 // cumulative shares of the pages
	paths  []string
}

// Request is one of them.
type Request struct {
	Time   time.Time  // when it came
	Client netip.Addr // who sent it
	Rank   int        // of the page; 0 is the busiest
	Target string     // with its query
}

// New returns a Generator whose requests depend on seed alone.
func New(seed uint64) *Generator {
	g := &Generator{
		Now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Step: time.Millisecond, Clients: 10_000,
		random: rand.New(rand.NewPCG(seed, 0)),
	}
	sum := 0.0
	for rank := range pages {
		sum += math.Pow(float64(rank+1)+shift, -exponent)
		g.upTo = append(g.upTo, sum)
		g.paths = append(g.paths, path(rank))
	}
	for rank := range g.upTo {
		g.upTo[rank] = (1-byChance)*g.upTo[rank]/sum + byChance*float64(rank+1)/pages
	}
	return g
}

// Share is the part of all requests that the n busiest pages are asked for by.
func (g *Generator) Share(n int) float64 { return g.upTo[n-1] }

// Paths returns the paths of all pages, busiest first.
func (g *Generator) Paths() []string { return append([]string(nil), g.paths...) }

func path(rank int) string {
	switch {
	case rank == 0:
		return "/"
	case rank%7 == 1:
		return fmt.Sprintf("/products/board-%d/", rank)
	case rank%7 == 2:
		return fmt.Sprintf("/downloads/release-%d/", rank)
	case rank%7 == 3:
		return fmt.Sprintf("/forums/viewtopic/%d", 1000+rank)
	}
	return fmt.Sprintf("/blog/%d/%02d/what-we-built-last-week-%d/", 2012+rank%14, 1+rank%12, rank)
}

// Next returns the next request, and moves Now on.
func (g *Generator) Next() Request {
	u := g.random.Float64()
	rank := min(sort.SearchFloat64s(g.upTo, u), pages-1)
	r := Request{Time: g.Now, Client: g.client(), Rank: rank, Target: g.paths[rank]}
	if g.random.Float64() < withQuery {
		r.Target += g.query()
	}
	g.Now = g.Now.Add(g.Step)
	return r
}

// client is an IPv4 address, or for one in four an IPv6 one.
func (g *Generator) client() netip.Addr {
	n := g.random.IntN(max(g.Clients, 1))
	if n%4 == 0 {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, byte(n >> 16), byte(n >> 8), byte(n), 15: 1})
	}
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

func (g *Generator) query() string {
	switch n := g.random.IntN(10); {
	case n < 5:
		return fmt.Sprintf("?utm_source=newsletter&utm_campaign=week-%d", n)
	case n < 8:
		return fmt.Sprintf("?page=%d", 2+g.random.IntN(3))
	}
	return fmt.Sprintf("?q=%x", g.random.Uint32())
}

var agents = []string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
	"Mozilla/5.0 (X11; Linux aarch64; rv:133.0) Gecko/20100101 Firefox/133.0",
	"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
}

// AppendCombined appends the next request as a line of a log in the format combined. What it draws is what Next would.
func (g *Generator) AppendCombined(b []byte) []byte {
	r := g.Next()
	client := r.Client.As16()
	b = r.Client.AppendTo(b)
	b = append(b, " - - ["...)
	b = r.Time.AppendFormat(b, "02/Jan/2006:15:04:05 -0700")
	b = append(b, `] "GET `...)
	b = append(b, r.Target...)
	from := int(client[13] ^ client[7])
	b = fmt.Appendf(b, ` HTTP/1.1" 200 %d "%s" "%s"`, 4000+37*r.Rank, g.referrer(r.Rank, from), agents[from%len(agents)])
	return append(b, '\n')
}

func (g *Generator) referrer(rank, from int) string {
	if (rank+from)%5 < 2 {
		return "-"
	}
	return "https://www.example.org" + g.paths[rank%20]
}
