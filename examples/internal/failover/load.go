package failover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/berryrack/berryrack/examples/internal/strictyaml"
)

// Load is what the standby must bear.
type Load struct {
	Rate     float64       `yaml:"rate"`     // requests a second; 0: those of the logs' busiest minute
	Duration time.Duration `yaml:"duration"` // 0 is a minute
	P99      time.Duration `yaml:"p99"`      // that 99 of 100 answers must keep; 0 is a second
	Errors   float64       `yaml:"errors"`   // share of requests that may fail; 0 is one of a thousand
}

// Defaults and limits of a load.
const (
	defaultLoad   = time.Minute
	defaultP99    = time.Second
	defaultErrors = 0.001
	minRate       = 0.001 // requests a second
	maxRate       = 100_000
	maxUnderWay   = 4096 // requests; more count as errors
)

func (l Load) check(d *strictyaml.Document) {
	if !validRate(l.Rate) {
		d.Problem("load.rate", "want requests a second, from %v to %d", minRate, maxRate)
	}
	if l.Duration <= 0 {
		d.Problem("load.duration", "want a positive duration")
	}
	if l.P99 <= 0 {
		d.Problem("load.p99", "want a positive duration")
	}
	if !(l.Errors >= 0 && l.Errors <= 1) { // .nan is neither
		d.Problem("load.errors", "want a share of the requests, from 0 to 1")
	}
}

// validRate reports whether requests can be sent at a rate; 0 stands for another.
func validRate(rate float64) bool { return rate == 0 || rate >= minRate && rate <= maxRate }

// Seconds is a duration that JSON has as a number of seconds.
type Seconds time.Duration

// MarshalJSON writes the number of seconds.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.6f", time.Duration(s).Seconds()), nil
}

// UnmarshalJSON reads it.
func (s *Seconds) UnmarshalJSON(text []byte) error {
	var seconds float64
	_, err := fmt.Sscan(string(text), &seconds)
	*s = Seconds(seconds * float64(time.Second))
	return err
}

func (s Seconds) String() string {
	return time.Duration(s).Round(10 * time.Microsecond).String()
}

// Figures are those of a load. Latencies count from when a request was due, whether
// the one before it was answered or not.
type Figures struct {
	Rate     float64 `json:"rate"` // that was chosen, a second
	Elapsed  Seconds `json:"elapsed_seconds"`
	Sent     int     `json:"sent"`
	Errors   int     `json:"errors"`   // no answer, an error where the log has none, or too many under way
	Other    int     `json:"other"`    // other answers with another status than the log's
	Answered float64 `json:"answered"` // a second
	P50      Seconds `json:"p50_seconds"`
	P90      Seconds `json:"p90_seconds"`
	P99      Seconds `json:"p99_seconds"`
	P999     Seconds `json:"p999_seconds"`
	Max      Seconds `json:"max_seconds"`
	Late     Seconds `json:"late_seconds"`    // that this host sent a request after it was due, at most
	Error    string  `json:"error,omitempty"` // the first one
}

func (f Figures) String() string {
	return fmt.Sprintf("%.0f a second for %v: %d sent, %d errors, %d with another status; p50 %v, p90 %v, p99 %v, p99.9 %v, max %v",
		f.Rate, time.Duration(f.Elapsed).Round(time.Millisecond), f.Sent, f.Errors, f.Other, f.P50, f.P90, f.P99, f.P999, f.Max)
}

// replay is a load under way.
type replay struct {
	host    *origin
	mu      sync.Mutex
	figures Figures
	latency histogram
}

// load replays the logs against the standby, open loop: requests are sent when they
// are due, however slow the answers.
func (s *Site) load(ctx context.Context, progress func()) (Answer, error) {
	rate := s.Load.Rate
	if rate == 0 {
		var err error
		if rate, err = busiestMinute(s.Pages.readLogs()); err != nil {
			return Answer{}, err
		}
	}
	host := s.origin("standby", s.Standby[0], maxUnderWay)
	defer host.close()
	r := &replay{host: host, figures: Figures{Rate: rate}}
	if err := r.run(ctx, s, progress); err != nil {
		return Answer{}, err
	}
	return r.judge(s.Load), nil
}

func (r *replay) run(ctx context.Context, s *Site, progress func()) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, maxUnderWay)
	interval := time.Duration(float64(time.Second) / r.figures.Rate)
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	due := start
	for h, err := range again(s.Pages) {
		if err != nil {
			return err
		}
		if due.Sub(start) >= s.Load.Duration {
			break
		}
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
		}
		progress()
		r.late(time.Since(due))
		at := due
		due = due.Add(interval)
		select {
		case slots <- struct{}{}:
			wg.Go(func() {
				defer func() { <-slots }()
				r.send(ctx, at, h, s.page)
			})
		default:
			r.count(at, h, 0, fmt.Errorf("more than %d requests are under way", maxUnderWay))
		}
	}
	wg.Wait()
	r.figures.Elapsed = Seconds(time.Since(start))
	return nil
}

// replayable reports whether a request can be sent again: nothing that could change
// the standby, and no targets that are no paths.
func (h hit) replayable() bool {
	_, err := target(&url.URL{}, h.target)
	return err == nil && (h.method == http.MethodGet || h.method == http.MethodHead)
}

// late remembers how far behind this host is.
func (r *replay) late(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.figures.Late = max(r.figures.Late, Seconds(d))
}

// again returns the requests of logs that can be replayed, again and again.
func again(p Pages) iter.Seq2[hit, error] {
	return func(yield func(hit, error) bool) {
		for {
			some := false
			for h, err := range p.readLogs() {
				if err == nil && !h.replayable() {
					continue
				}
				some = true
				if !yield(h, err) || err != nil {
					return
				}
			}
			if !some {
				yield(hit{}, errors.New("pages.logs: no request that could be replayed"))
				return
			}
		}
	}
}

func (r *replay) send(ctx context.Context, due time.Time, h hit, page *url.URL) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	where, err := target(page, h.target)
	if err != nil {
		r.count(due, h, 0, err)
		return
	}
	response, err := r.host.do(ctx, h.method, where)
	if err != nil {
		r.count(due, h, 0, err)
		return
	}
	_, err = io.Copy(io.Discard, response.Body)
	response.Body.Close()
	r.count(due, h, response.StatusCode, err)
}

// count counts one request that has been answered, or not.
func (r *replay) count(due time.Time, h hit, status int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := &r.figures
	f.Sent++
	r.latency.add(time.Since(due))
	if err == nil && status >= 400 && status/100 > h.status/100 && h.status < 500 {
		err = fmt.Errorf("%s: status %d, the log has %d", h.target, status, h.status)
	}
	if err != nil {
		f.Errors++
		if f.Error == "" {
			f.Error = err.Error()
		}
		return
	}
	// A cache's validator is not in the log: 200 is as good as 304.
	if status != h.status && !(status == http.StatusOK && h.status == http.StatusNotModified) {
		f.Other++
	}
}

// judge says whether the standby kept up.
func (r *replay) judge(want Load) Answer {
	f := &r.figures
	f.Answered = float64(f.Sent-f.Errors) / time.Duration(f.Elapsed).Seconds()
	f.P50, f.P90 = Seconds(r.latency.quantile(0.5)), Seconds(r.latency.quantile(0.9))
	f.P99, f.P999 = Seconds(r.latency.quantile(0.99)), Seconds(r.latency.quantile(0.999))
	f.Max = Seconds(r.latency.max)
	a := Answer{Question: QuestionLoad, State: Same, Summary: f.String(), Load: f}
	if share := float64(f.Errors) / float64(f.Sent); share > want.Errors {
		a.add(Item{"errors", Different, fmt.Sprintf("%.2f %% of the requests failed, %.2f %% may; the first: %s", 100*share, 100*want.Errors, f.Error)})
	}
	if p99 := time.Duration(f.P99); p99 > want.P99 {
		state, detail := Different, fmt.Sprintf("p99 is %v, at most %v is wanted", f.P99, want.P99)
		if p99-time.Duration(f.Late) <= want.P99 {
			state, detail = Unknown, fmt.Sprintf("%s, but this host sent requests up to %v late: ask from a faster one", detail, f.Late)
		}
		a.add(Item{"latency", state, detail})
	}
	return a
}

// busiestMinute returns how many requests a second the busiest minute of logs had.
func busiestMinute(hits iter.Seq2[hit, error]) (float64, error) {
	most, minutes := 0, map[int64]int{}
	for h, err := range hits {
		if err != nil {
			return 0, err
		}
		if h.time.IsZero() {
			continue
		}
		minute := h.time.Unix() / 60
		minutes[minute]++
		most = max(most, minutes[minute])
	}
	if most == 0 {
		return 0, errors.New("pages.logs: no request with a time: choose a rate")
	}
	return float64(most) / 60, nil
}
