package failover

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/berryrack/berryrack/staticify/topk"
)

// countersPerPage is how many counters find the first pages of a log right.
const countersPerPage = 8

// popular returns the paths that were asked for most and found, the most popular
// one first.
func (p Pages) popular() ([]string, error) {
	summary := topk.New(countersPerPage * p.Count)
	for h, err := range p.readLogs() {
		if err != nil {
			return nil, err
		}
		if h.method == http.MethodGet && h.status >= 200 && h.status < 400 {
			summary.Add([]byte(h.target), 0)
		}
	}
	var paths []string
	for _, item := range summary.Top(p.Count) {
		paths = append(paths, item.Key)
	}
	return paths, nil
}

// comparePages compares the pages that visitors ask for most. Progress is called
// for each of them.
func (s *Site) comparePages(ctx context.Context, progress func()) (Answer, error) {
	paths, err := s.Pages.popular()
	if err != nil {
		return Answer{}, err
	}
	if len(paths) == 0 {
		return Answer{}, errors.New("pages.logs: no page was found and given to anybody in these logs")
	}
	hosts := [2]*origin{
		s.origin("primary", s.Primary[0], s.Pages.Parallel), s.origin("standby", s.Standby[0], s.Pages.Parallel),
	}
	defer hosts[0].close()
	defer hosts[1].close()
	items, err := s.compareAll(ctx, hosts, paths, progress)
	if err != nil {
		return Answer{}, err
	}
	// A page may have changed between its renders: what differs is looked at again.
	var again []string
	for _, item := range items {
		if item.State != Same {
			again = append(again, item.What)
		}
	}
	if again != nil {
		if again, err := s.compareAll(ctx, hosts, again, func() {}); err == nil {
			items = slices.DeleteFunc(items, func(i Item) bool { return i.State != Same })
			items = append(items, again...)
		}
	}
	return answer(QuestionPages, items, "%d pages are the same", len(paths)), nil
}

// compareAll returns an item for each path, in their order.
func (s *Site) compareAll(ctx context.Context, hosts [2]*origin, paths []string, progress func()) ([]Item, error) {
	items := make([]Item, len(paths))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.Pages.Parallel)
	var mu sync.Mutex
	for i, path := range paths {
		group.Go(func() error {
			state, detail := s.comparePage(ctx, hosts, path)
			items[i] = Item{path, state, detail}
			mu.Lock()
			defer mu.Unlock()
			progress()
			return ctx.Err()
		})
	}
	return items, group.Wait()
}

// comparePage renders a page twice by each host, by turns.
func (s *Site) comparePage(ctx context.Context, hosts [2]*origin, path string) (State, string) {
	url, err := target(s.page, path)
	if err != nil {
		return Unknown, err.Error()
	}
	var renders [2][2]render
	for turn := range 2 {
		for i, host := range hosts {
			if renders[i][turn], err = host.get(ctx, url); err != nil && i == 0 {
				return Failed, err.Error()
			} else if err != nil {
				return Different, fmt.Sprintf("no answer: %v", err)
			}
		}
	}
	return comparison{s.Pages.Headers, s.Pages.Ignore}.compare(renders[0], renders[1])
}
