package staticify

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/berryrack/berryrack/staticify/zipflog"
)

// atOnce bounds the simulated visitors who wait for an answer.
const atOnce = 256

// visitors ask for pages, and check what they get.
type visitors struct {
	front     string
	generator *zipflog.Generator
	client    http.Client

	mu            sync.Mutex
	now, sum, old figures
}

// figures are what visitors have seen.
type figures struct {
	requests, files, wrong, errors int
	took                           time.Duration
	oldest                         time.Duration // file
	first                          string        // problem
}

func (f figures) ratio() float64 { return float64(f.files) / float64(max(f.requests, 1)) }

func (f figures) mean() time.Duration { return f.took / time.Duration(max(f.requests, 1)) }

func (f *figures) add(o figures) {
	f.requests += o.requests
	f.files += o.files
	f.wrong += o.wrong
	f.errors += o.errors
	f.took += o.took
	f.oldest = max(f.oldest, o.oldest)
	if f.first == "" {
		f.first = o.first
	}
}

func newVisitors(front string, seed uint64) *visitors {
	return &visitors{
		front: front, generator: zipflog.New(seed),
		client: http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: atOnce}},
	}
}

// come sends rate requests a second until ctx ends, however long answers take.
func (v *visitors) come(ctx context.Context, rate int) error {
	defer v.client.CloseIdleConnections()
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	defer ticker.Stop()
	waiting := make(chan struct{}, atOnce)
	var group sync.WaitGroup
	defer group.Wait()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		select {
		case <-ctx.Done():
			return nil
		case waiting <- struct{}{}:
		}
		request := v.generator.Next()
		group.Go(func() {
			seen := v.visit(request, n%33 == 0)
			v.mu.Lock()
			v.now.add(seen)
			v.mu.Unlock()
			<-waiting
		})
	}
}

// visit asks for one page. One visitor in 33 is logged in. A request that has
// begun is waited for: it has its own time limit.
func (v *visitors) visit(r zipflog.Request, loggedIn bool) figures {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	start := time.Now()
	body, file, err := v.get(ctx, r, loggedIn)
	f := figures{requests: 1, took: time.Since(start)}
	who := "anybody"
	if loggedIn {
		who = "bob"
	}
	path, query, _ := strings.Cut(r.Target, "?")
	page, _ := strings.CutPrefix(query, "page=")
	if page == query {
		page = ""
	}
	switch {
	case err != nil:
		f.errors, f.first = 1, err.Error()
	case !strings.HasPrefix(body, fmt.Sprintf("<title>%s?page=%s for %s</title>", path, page, who)):
		f.wrong, f.first = 1, fmt.Sprintf("%s for %s: %q", r.Target, who, body)
	case file:
		f.files = 1
		f.oldest = age(body)
	}
	return f
}

func (v *visitors) get(ctx context.Context, r zipflog.Request, loggedIn bool) (body string, file bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, v.front+r.Target, nil)
	if err != nil {
		return "", false, err
	}
	request.Header.Set(client, r.Client.String())
	if loggedIn {
		request.AddCookie(&http.Cookie{Name: "session", Value: "bob"})
	}
	response, err := v.client.Do(request)
	if err != nil {
		return "", false, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", r.Target, response.Status)
	}
	return string(text), response.Header.Get("X-Simulated-File") != "", err
}

// age is how long ago a page was made.
func age(body string) time.Duration {
	var made int64
	if at := strings.Index(body, stamp[:8]); at >= 0 {
		fmt.Sscanf(body[at:], stamp, &made)
	}
	return time.Since(time.Unix(0, made))
}

// take returns the figures since the last take.
func (v *visitors) take() figures {
	v.mu.Lock()
	defer v.mu.Unlock()
	f := v.now
	v.sum.add(f)
	v.old, v.now = f, figures{}
	return f
}

// latest returns what the last take did.
func (v *visitors) latest() figures {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.old
}

// all returns the figures since the beginning.
func (v *visitors) all() figures {
	v.mu.Lock()
	defer v.mu.Unlock()
	f := v.sum
	f.add(v.now)
	return f
}
