package staticify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/berryrack/berryrack/staticify/accesslog"
)

// A Log is read again and again, each line once; *[accesslog.Follower] is one.
type Log interface {
	// Poll calls its argument for every line since the last Poll.
	Poll(func(*accesslog.Hit) error) error
	// Save writes down how far the log was read.
	Save() error
}

// A Renderer fetches a page from the origin, or asks whether the previous copy is still right. A page that is not for
// everybody gives a *[Refusal].
type Renderer interface {
	// Render returns the page, and does not change previous.
	Render(ctx context.Context, key Key, previous *Page) (*Page, error)
}

// A Publisher makes files of pages.
type Publisher interface {
	// Accepts returns a *[Refusal] for a page that cannot be a file.
	Accepts(*Page) error
	// Publish makes these pages the ones that are served, and no others. An error that is ErrPartial leaves that so.
	Publish(context.Context, []*Page) error
	// Withdraw stops pages from being served, at once.
	Withdraw(...Key) error
}

// ErrPartial is part of an error of a Publisher's that has published, though not in all places.
var ErrPartial = errors.New("other roots have the pages")

// A Server is a web server whose configuration follows the pages.
type Server interface {
	// Configure has the server serve these pages. It does nothing when the server does that already.
	Configure(context.Context, []*Page) error
}

// Site keeps the busy pages of one site published. Its fields are set before the first call.
type Site struct {
	Logs      []Log         // what is asked for; several servers' are one
	Ranker    *Ranker       // nil: only Important pages
	Important []Key         // always published
	Budget    Budget        // Interval 0: MaxAge less a bucket's width and two intervals
	Renderer  Renderer      // asks the origin
	Publisher Publisher     // makes the files
	Server    Server        // nil: its configuration is not ours
	MaxAge    time.Duration // 0 means DefaultMaxAge; as the Publisher has it
	Interval  time.Duration // between two generations; 0 means a twelfth of MaxAge, and a second at least
	State     string        // directory of what outlives a restart; empty: nothing does
	Logger    *slog.Logger  // nil is silent

	mu    sync.Mutex // of what follows
	store store
	queue []Key // to be rendered, earliest deadline first
	wake  chan struct{}
	ready bool
	saved time.Time // the ranking; of the goroutine that publishes
}

// Report says what one round has done.
type Report struct {
	Rendered  int       `json:"rendered"`          // pages that the origin was asked for
	Published int       `json:"published"`         // pages that are files now
	Refused   []Outcome `json:"refused,omitempty"` // chosen, and not for everybody
	Left      []Outcome `json:"left,omitempty"`    // not within the budget
}

// Outcome is why a page is answered by the origin.
type Outcome struct {
	Key    string `json:"page"`             // path and query
	Reason Reason `json:"reason"`           // in one word
	Detail string `json:"detail,omitempty"` // what was found: the header, the status
}

// RunOnce reads the logs, renders what is due, publishes, and configures the server. Problems of one part, or of some
// pages, do not keep the rest from being done; they are all in the error.
func (s *Site) RunOnce(ctx context.Context) (Report, error) {
	if err := s.start(); err != nil {
		return Report{}, err
	}
	errs := []error{s.readLogs(), s.purgeAsked()}
	schedule, due := s.schedule(time.Now())
	// What takes longer than this would make the first pages too old.
	limited, cancel := context.WithTimeout(ctx, s.maxAge()/2)
	defer cancel()
	group := errgroup.Group{}
	group.SetLimit(cmp.Or(s.Budget.Parallel, 4))
	for _, key := range due {
		group.Go(func() error {
			s.render(limited, key)
			return nil
		})
	}
	group.Wait()
	if err := ctx.Err(); err != nil {
		return Report{}, err
	}
	errs = append(errs, s.publish(ctx), s.save(time.Now(), true))
	return s.report(schedule, len(due)), errors.Join(errs...)
}

// Run keeps the pages published until ctx ends; then what is published goes out of date by itself. Problems are logged
// and counted, and it carries on. It begins with RunOnce, unless that was called before. It returns nil, or why it could
// not begin.
func (s *Site) Run(ctx context.Context) error {
	s.mu.Lock()
	first := !s.ready
	s.mu.Unlock()
	if err := s.start(); err != nil {
		return err
	}
	if first {
		if _, err := s.RunOnce(ctx); err != nil {
			s.problem(ctx, err)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for range cmp.Or(s.Budget.Parallel, 4) {
		group.Go(func() error { s.work(ctx); return nil })
	}
	group.Go(func() error { every(ctx, time.Second, func() { s.problem(ctx, s.purgeAsked()) }); return nil })
	every(ctx, s.interval(), func() { s.problem(ctx, s.round(ctx)) })
	s.problem(ctx, s.save(time.Now(), true))
	return group.Wait()
}

// every calls do once in each interval until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

// round publishes what the workers have rendered, and tells them what is due.
func (s *Site) round(ctx context.Context) error {
	err := s.readLogs()
	_, due := s.schedule(time.Now())
	s.enqueue(due)
	return errors.Join(err, s.publish(ctx), s.save(time.Now(), false))
}

// work renders what is in the queue.
func (s *Site) work(ctx context.Context) {
	for ctx.Err() == nil {
		key, ok := s.next()
		if ok {
			s.render(ctx, key)
			continue
		}
		select {
		case <-ctx.Done():
		case <-s.wake:
		}
	}
}

// enqueue replaces the queue, and wakes as many workers as there are.
func (s *Site) enqueue(due []Key) {
	s.mu.Lock()
	s.queue = due
	s.mu.Unlock()
	for range due {
		select {
		case s.wake <- struct{}{}:
		default:
			return
		}
	}
}

// next takes a page that no other worker is rendering.
func (s *Site) next() (Key, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 {
		key := s.queue[0]
		s.queue = s.queue[1:]
		if !s.store.of(key).rendering {
			return key, true
		}
	}
	return Key{}, false
}

// Purge withdraws pages, and has them rendered anew; a server that has their files open may send them for a second more,
// as nginx does. It may be called in another process than the one that Runs, with the same State: that one learns of it
// within a second.
func (s *Site) Purge(keys ...Key) error {
	if err := legal(keys); err != nil {
		return err
	}
	err := s.askPurge(keys)
	s.forget(keys)
	// After what forgot them: a generation that was being made meanwhile is purged again by the one that made it.
	return errors.Join(err, s.Publisher.Withdraw(keys...))
}

// forget drops pages, and what of them is being rendered.
func (s *Site) forget(keys []Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range keys {
		s.store.forget(key, time.Now())
	}
}

// render fetches one page into the store.
func (s *Site) render(ctx context.Context, key Key) {
	s.mu.Lock()
	e := s.store.of(key)
	e.rendering = true
	previous, start := e.page, time.Now()
	if start.Sub(e.compared) > compareEvery {
		previous = nil
	}
	s.mu.Unlock()

	page, err := s.Renderer.Render(ctx, key, previous)
	if err == nil {
		err = s.Publisher.Accepts(page)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	e.rendering = false
	var refusal *Refusal
	switch {
	case ctx.Err() != nil, e.forgotten.After(start):
	case err == nil:
		took := time.Since(start)
		if previous == nil {
			e.compared, took = start, page.Took // the next one is not rendered twice, unless it has changed
		}
		s.store.rendered(e, page, took)
	case errors.As(err, &refusal):
		s.store.refused(e, refusal, time.Now(), s.interval())
	default:
		s.store.refused(e, &Refusal{Unreachable, err.Error()}, time.Now(), s.interval())
	}
}

// publish makes a generation of all pages in the store, and has the server know them.
func (s *Site) publish(ctx context.Context) error {
	s.mu.Lock()
	pages := s.store.pages()
	s.mu.Unlock()
	err := s.Publisher.Publish(ctx, pages)
	// A page that was purged meanwhile is in the new generation: take it out.
	s.mu.Lock()
	gone := s.store.gone(pages)
	if err == nil || errors.Is(err, ErrPartial) {
		s.store.published = slices.DeleteFunc(slices.Clone(pages), func(p *Page) bool { return slices.Contains(gone, p.Key) })
		s.store.count(func(c *Counters) { c.Generations++ })
	}
	s.mu.Unlock()
	if len(gone) > 0 {
		err = errors.Join(err, s.Publisher.Withdraw(gone...))
	}
	err = errors.Join(err, s.purgeAsked())
	if s.Server != nil {
		err = errors.Join(err, s.Server.Configure(ctx, pages))
	}
	return err
}

// readLogs counts what was asked for since the last time.
func (s *Site) readLogs() error {
	if s.Ranker == nil {
		return nil
	}
	var errs []error
	for _, log := range s.Logs {
		errs = append(errs, log.Poll(func(h *accesslog.Hit) error {
			s.Ranker.Observe(h)
			return nil
		}))
	}
	s.Ranker.Age(time.Now())
	return errors.Join(errs...)
}

// problem logs an error and counts it.
func (s *Site) problem(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return
	}
	s.mu.Lock()
	s.store.count(func(c *Counters) { c.Errors++ })
	s.store.lastError = fmt.Sprintf("%s: %v", time.Now().UTC().Format(time.RFC3339), err)
	s.mu.Unlock()
	if s.Logger != nil {
		s.Logger.Error("staticify", "error", err)
	}
}

func (s *Site) maxAge() time.Duration { return cmp.Or(s.MaxAge, DefaultMaxAge) }

// interval is at least a second: that is how exactly web servers tell when a file was modified.
func (s *Site) interval() time.Duration {
	return cmp.Or(s.Interval, max(s.maxAge()/12, time.Second))
}

// budget is the Budget with its Interval.
func (s *Site) budget() Budget {
	b := s.Budget
	b.Interval = cmp.Or(b.Interval, s.maxAge()-BucketWidth(s.maxAge())-2*s.interval())
	return b
}
