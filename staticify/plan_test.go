package staticify

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/staticify/accesslog"
	"github.com/berryrack/berryrack/staticify/zipflog"
)

var update = flag.Bool("update", false, "write the golden files")

// logOf is a log of hits.
func logOf(hits ...*accesslog.Hit) iter.Seq2[*accesslog.Hit, error] {
	return func(yield func(*accesslog.Hit, error) bool) {
		for _, h := range hits {
			if !yield(h, nil) {
				return
			}
		}
	}
}

// zipfLog is n requests of the generator, so far apart.
func zipfLog(n int, step time.Duration) iter.Seq2[*accesslog.Hit, error] {
	return func(yield func(*accesslog.Hit, error) bool) {
		g := zipflog.New(1)
		g.Step = step
		for range n {
			r := g.Next()
			h := &accesslog.Hit{Time: r.Time, Client: r.Client, Method: []byte("GET"), Target: []byte(r.Target), Status: 200}
			if !yield(h, nil) {
				return
			}
		}
	}
}

// Each figure of a plan, worked out by hand: one page, asked for every 10 s for two minutes, rendered every 40 s.
func TestPlanByHand(t *testing.T) {
	var hits []*accesslog.Hit
	for i := range 13 {
		h := hit("/page", i, time.Duration(10*i)*time.Second)
		h.Took = 300 * time.Millisecond
		hits = append(hits, h)
	}
	hits = append(hits, hit("/x.css", 1, 121*time.Second), hit("/?unknown", 1, 122*time.Second), hit("/new", 1, 123*time.Second))
	own := hit("/page", 1, 124*time.Second)
	own.UserAgent = []byte("staticify")
	hits = append(hits, own)

	plan, err := Planner{Ranker: Ranker{UserAgent: "staticify"}, Important: []Key{{"/must", ""}}, Cost: time.Second}.Plan(logOf(hits...))
	require.NoError(t, err)
	require.Equal(t, noon, plan.From)
	require.Equal(t, uint64(16), plan.Requests)
	require.Equal(t, uint64(1), plan.Own)
	require.Equal(t, uint64(1), plan.Assets)
	require.Equal(t, uint64(15), plan.Pages)
	// Selections at 40, 80 and 120 s; the requests at 0 to 30 s came before the first one.
	require.Equal(t, uint64(9), plan.Hits)
	require.InDelta(t, 9.0/15, plan.HitRatio, 1e-9)
	require.Equal(t, 9*300*time.Millisecond, plan.Saved)
	require.Equal(t, 3*(300*time.Millisecond+time.Second), plan.Spent)
	require.True(t, plan.Assumed, "of /must")
	require.InDelta(t, 2, plan.Selected, 0)
	require.Equal(t, []Point{{0, 0}, {1, 0}, {2, 9.0 / 15}}, plan.Curve)
	require.Equal(t, []Miss{{FewClients, 5}, {UnknownQuery, 1}}, plan.Misses)
	require.Len(t, plan.Files, 2)
	require.Equal(t, "/page", plan.Files[0].Target)
	require.Equal(t, uint64(9), plan.Files[0].Hits)
	require.Equal(t, 300*time.Millisecond, plan.Files[0].Cost)
	require.True(t, plan.Files[1].Important)
	require.Equal(t, []Refused{{UnknownQuery, "unknown", 1}}, plan.Refused)
}

// However many pages are important or within the budget, each has its place on the curve.
func TestPlanOfManyPages(t *testing.T) {
	const many = 5000
	var hits []*accesslog.Hit
	var important []Key
	for round := range 2 {
		for i := range many {
			for client := range 2 {
				hits = append(hits, hit(fmt.Sprintf("/%d", i), client, time.Duration(round)*time.Minute))
			}
		}
	}
	for i := range many {
		important = append(important, Key{Path: fmt.Sprintf("/%d", i)})
	}
	for _, p := range []Planner{{Important: important}, {}} {
		p.Budget = Budget{CPU: 1000, Parallel: 1000, Pages: many}
		plan, err := p.Plan(logOf(hits...))
		require.NoError(t, err)
		require.Len(t, plan.Files, many)
		require.Equal(t, Point{many, 0.5}, plan.Curve[len(plan.Curve)-1])
	}
}

// A log that is not in the order of time has a beginning and an end all the same.
func TestPlanBackwards(t *testing.T) {
	plan, err := Planner{}.Plan(logOf(hit("/", 1, time.Hour), hit("/", 2, 2*time.Hour), hit("/", 3, 0)))
	require.NoError(t, err)
	require.Equal(t, noon, plan.From)
	require.Equal(t, noon.Add(2*time.Hour), plan.To)
}

// A night without requests costs what the renders in it cost, and takes no time to plan.
func TestPlanGap(t *testing.T) {
	plan, err := Planner{}.Plan(logOf(hit("/", 1, 0), hit("/", 2, time.Second), hit("/", 3, time.Minute), hit("/", 4, 24*365*time.Hour)))
	require.NoError(t, err)
	require.Equal(t, uint64(2), plan.Hits, "what was busy last stays a file")
	require.InEpsilon(t, 150*time.Millisecond*24*365*90, plan.Spent, 0.001)
}

func TestPlanOfNothing(t *testing.T) {
	plan, err := Planner{}.Plan(logOf())
	require.NoError(t, err)
	require.Zero(t, plan.HitRatio)
	require.NoError(t, plan.WriteSVG(io.Discard))
	var text bytes.Buffer
	require.NoError(t, plan.WriteText(&text))
	require.Contains(t, text.String(), "expected hit ratio: 0.0 %\n")
}

func TestPlanGoesOnAfterAnError(t *testing.T) {
	broken := errors.New("broken")
	plan, err := Planner{}.Plan(func(yield func(*accesslog.Hit, error) bool) {
		_ = yield(hit("/", 1, 0), nil) && yield(nil, broken) && yield(hit("/", 2, 0), nil)
	})
	require.ErrorIs(t, err, broken)
	require.Equal(t, uint64(2), plan.Requests)
}

// With room for all pages the replay comes to what the generator's law says of the pages, less the refused queries and
// the beginning.
func TestPlanAgainstTheLaw(t *testing.T) {
	plan, err := Planner{
		Ranker: Ranker{Query: Query{Keep: []string{}}}, Budget: Budget{CPU: 1000, Parallel: 1000, Pages: 100},
	}.Plan(zipfLog(30_000, 100*time.Millisecond))
	require.NoError(t, err)
	withoutUnknown := 1 - 0.126/2
	require.InDelta(t, zipflog.New(1).Share(100)*withoutUnknown, plan.HitRatio, 0.03)
	for i := 1; i < len(plan.Curve); i++ {
		require.GreaterOrEqual(t, plan.Curve[i].HitRatio, plan.Curve[i-1].HitRatio)
		require.Greater(t, plan.Curve[i].Pages, plan.Curve[i-1].Pages)
	}
	require.Less(t, len(plan.Curve), 150)
}

func TestPlanGolden(t *testing.T) {
	plan, err := Planner{Important: []Key{{"/contact/", ""}}}.Plan(zipfLog(20_000, 20*time.Millisecond))
	require.NoError(t, err)
	for name, write := range map[string]func(io.Writer) error{"plan.txt": plan.WriteText, "plan.svg": plan.WriteSVG} {
		var got bytes.Buffer
		require.NoError(t, write(&got))
		golden := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile(golden, got.Bytes(), 0o644))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), got.String(), "%s; -update writes it", name)
	}
	var again Plan
	text, err := json.Marshal(plan)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, plan.Curve, again.Curve)
	require.Contains(t, string(text), `"reason":"over budget"`)
}

// Whatever a log's targets hold, the report is text and the picture is XML.
func TestReportsAreNotInjectable(t *testing.T) {
	var hits []*accesslog.Hit
	for i, target := range []string{"/<script>", "/?\x1b[31m=1", "/?a\"<b>=1", "/'&amp;'/", "/\xff"} {
		for client := range 3 {
			hits = append(hits, hit(target, client, time.Duration(i)*time.Second), hit(target, client, time.Duration(60+i)*time.Second))
		}
	}
	plan, err := Planner{}.Plan(logOf(hits...))
	require.NoError(t, err)
	var text, picture bytes.Buffer
	require.NoError(t, plan.WriteText(&text))
	require.NotContains(t, text.String(), "\x1b")
	require.NotContains(t, text.String(), "\xff")
	require.NoError(t, plan.WriteSVG(&picture))
	for decoder := xml.NewDecoder(&picture); ; {
		_, err := decoder.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
	}
}

func ExamplePlanner() {
	var hits []*accesslog.Hit
	for i := range 600 {
		hits = append(hits, &accesslog.Hit{
			Time:   time.Date(2026, 3, 1, 12, 0, i, 0, time.UTC),
			Client: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}),
			Method: []byte("GET"),
			Target: fmt.Appendf(nil, "/page/%d/", i%8*(i%7)),
			Status: 200,
			Took:   120 * time.Millisecond,
		})
	}
	plan, err := Planner{Budget: Budget{Pages: 10}}.Plan(logOf(hits...))
	if err != nil {
		panic(err)
	}
	fmt.Printf("%d of %d requests would have been files: %.1f %%\n", plan.Hits, plan.Pages, 100*plan.HitRatio)
	fmt.Printf("processor time: %v saved, %v spent\n", plan.Saved, plan.Spent)
	// Output:
	// 350 of 600 requests would have been files: 58.3 %
	// processor time: 42s saved, 16.44s spent
}
