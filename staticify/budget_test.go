package staticify

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func page(path string, hits float64, cost time.Duration) Candidate {
	return Candidate{Key: Key{Path: path}, Hits: hits, Saved: cost, CPU: cost, Time: cost}
}

func paths(candidates []Candidate) (all []string) {
	for _, c := range candidates {
		all = append(all, c.Key.Path)
	}
	return all
}

func left(s Schedule) map[string]Reason {
	all := map[string]Reason{}
	for _, l := range s.Left {
		all[l.Key.Path] = l.Reason
	}
	return all
}

func TestChoose(t *testing.T) {
	b := Budget{CPU: 0.1, Parallel: 1, Interval: 10 * time.Second} // one second of processor time
	s := b.Choose(noon, []Candidate{
		page("/rare", 1, 400*time.Millisecond),
		page("/busy", 9, 400*time.Millisecond),
		page("/big", 8, 700*time.Millisecond),
		page("/small", 2, 200*time.Millisecond),
		{Key: Key{Path: "/cheap to renew"}, Hits: 1, Saved: time.Second, CPU: 100 * time.Millisecond, Time: 100 * time.Millisecond},
	})
	require.Equal(t, []string{"/cheap to renew", "/busy", "/small"}, paths(s.Pages))
	require.Equal(t, map[string]Reason{"/big": OverBudget, "/rare": OverBudget}, left(s))
	require.Equal(t, 700*time.Millisecond, s.CPU)
}

func TestImportantAlwaysIn(t *testing.T) {
	important := page("/important", 0, 5*time.Second)
	important.Important = true
	s := Budget{CPU: 0.1, Parallel: 1, Pages: 1, Interval: 10 * time.Second}.Choose(noon, []Candidate{page("/busy", 9, time.Millisecond), important})
	require.Equal(t, []string{"/important"}, paths(s.Pages))
	require.Equal(t, map[string]Reason{"/busy": OverBudget}, left(s), "what is important takes from the budget")
}

func TestPagesAndTimeAreBounds(t *testing.T) {
	many := []Candidate{page("/1", 3, time.Second), page("/2", 2, time.Second), page("/3", 1, time.Second)}
	require.Len(t, Budget{CPU: 9, Pages: 2}.Choose(noon, many).Pages, 2)
	require.Len(t, Budget{CPU: 9, Parallel: 2, Interval: time.Second}.Choose(noon, many).Pages, 2)
	require.Len(t, Budget{}.Choose(noon, many).Pages, 3)
	require.Empty(t, Budget{}.Choose(noon, nil).Pages)
}

func TestEarliestDeadlineFirst(t *testing.T) {
	due := func(path string, after, cost time.Duration) Candidate {
		c := page(path, 1, cost)
		c.Due = noon.Add(after)
		return c
	}
	b := Budget{CPU: 9, Parallel: 1, Interval: 10 * time.Second}
	s := b.Choose(noon, []Candidate{
		page("/new", 1, time.Second),
		due("/late", 1500*time.Millisecond, time.Second),
		due("/soon", time.Second, time.Second),
		due("/later", 5*time.Second, time.Second),
		due("/past", -time.Second, time.Second),
	})
	require.Equal(t, []string{"/soon", "/later", "/new"}, paths(s.Pages))
	require.Equal(t, map[string]Reason{"/late": Late, "/past": Late}, left(s))

	b.Parallel = 2
	s = b.Choose(noon, []Candidate{due("/1", time.Second, time.Second), due("/2", time.Second, time.Second), due("/3", time.Second, time.Second)})
	require.Len(t, s.Pages, 2)
}

// No schedule exceeds what was given, every candidate is in one of its lists, and by greed no more than one page's worth
// is lost against an exact knapsack.
func TestChooseProperties(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 0))
	for range 200 {
		b := Budget{CPU: 0.1 + random.Float64(), Parallel: 1 + random.IntN(4), Pages: 20, Interval: 2 * time.Second}
		var candidates []Candidate
		for i := range 1 + random.IntN(14) {
			c := page(fmt.Sprint("/", i), float64(random.IntN(50)), time.Duration(1+random.IntN(600))*time.Millisecond)
			c.Time = time.Millisecond
			candidates = append(candidates, c)
		}
		s := b.Choose(noon, candidates)
		require.Equal(t, len(candidates), len(s.Pages)+len(s.Left))
		cpu, value, largest := time.Duration(0), 0.0, 0.0
		for _, c := range s.Pages {
			cpu, value = cpu+c.CPU, value+c.Hits*float64(c.Saved)
		}
		for _, c := range candidates {
			largest = max(largest, c.Hits*float64(c.Saved))
		}
		limit := time.Duration(b.CPU * float64(b.Interval))
		require.LessOrEqual(t, cpu, limit)
		require.Equal(t, cpu, s.CPU)
		require.GreaterOrEqual(t, value+largest, bestValue(candidates, limit))
	}
}

// bestValue tries all subsets.
func bestValue(candidates []Candidate, limit time.Duration) float64 {
	best := 0.0
	for set := range 1 << len(candidates) {
		cpu, value := time.Duration(0), 0.0
		for i, c := range candidates {
			if set&(1<<i) != 0 {
				cpu, value = cpu+c.CPU, value+c.Hits*float64(c.Saved)
			}
		}
		if cpu <= limit {
			best = max(best, value)
		}
	}
	return best
}
