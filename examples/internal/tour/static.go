package tour

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"time"

	"github.com/berryrack/berryrack/examples/internal/cli"
	site "github.com/berryrack/berryrack/examples/internal/staticify"
	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/accesslog"
	"github.com/berryrack/berryrack/staticify/zipflog"
)

// logLines is how long the log is that the plan is made from.
const logLines = 100_000

// makeStatic foretells from a log what files would answer, and then has a slow
// site's pages made files under visitors.
func makeStatic(ctx context.Context, _ *Tour) (result, error) {
	var rows, picture bytes.Buffer
	simulation := site.Simulate{Duration: 2 * time.Second, Rate: 200, Seed: 1, JSON: true}
	log := accesslog.NewReader(madeUpLog(logLines), accesslog.Format{})
	// shown:
	plan, err := staticify.Planner{Budget: staticify.Budget{CPU: 0.5}}.Plan(log.All())
	if err != nil {
		return result{}, err
	}
	err = simulation.Run(ctx, cli.Streams{Out: &rows, Err: io.Discard}) // a staticify.Site, a slow origin and visitors
	// until here
	if err != nil {
		return result{}, err
	}
	if err := plan.WriteSVG(&picture); err != nil {
		return result{}, err
	}
	first, last, err := firstAndLast(&rows)
	if err != nil {
		return result{}, err
	}
	return result{
		facts: []string{
			fmt.Sprintf("foretold from a log of %d requests: files would answer %.1f %% of those for pages", plan.Requests, 100*plan.HitRatio),
			fmt.Sprintf("a slow site under visitors: %.0f %% of the answers were files at first, %.0f %% %.0f seconds later; no page was wrong", 100*first.HitRatio, 100*last.HitRatio, last.Seconds),
		},
		picture: template.HTML(picture.String()),
		caption: "The hit ratio by the number of pages, and where half a processor for rendering stands on it.",
	}, nil
}

// madeUpLog is an access log of a site with many pages, a few of them busy.
func madeUpLog(lines int) io.Reader {
	var log bytes.Buffer
	generator := zipflog.New(1)
	generator.Step = 20 * time.Millisecond
	for range lines {
		log.Write(generator.AppendCombined(nil))
	}
	return &log
}

// ratio is what is read of the simulation's rows.
type ratio struct {
	Seconds  float64 `json:"seconds"`
	HitRatio float64 `json:"hit_ratio"`
}

func firstAndLast(rows io.Reader) (first, last ratio, err error) {
	decoder := json.NewDecoder(rows)
	if err := decoder.Decode(&first); err != nil {
		return first, last, err
	}
	for last = first; err == nil; {
		err = decoder.Decode(&last)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return first, last, err
}
