package staticify

import (
	"bytes"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// shownFiles and shownRefused are how many lines a report has of each.
const shownFiles, shownRefused = 20, 15

// WriteText writes a report for people. Its last line is "expected hit ratio: NN.N %".
func (p *Plan) WriteText(w io.Writer) error {
	var b bytes.Buffer
	p.writeRequests(&b)
	p.writeFiles(&b)
	p.writeMisses(&b)
	p.writeRefused(&b)
	p.writeCost(&b)
	fmt.Fprintf(&b, "expected hit ratio: %.1f %%\n", 100*p.HitRatio)
	_, err := b.WriteTo(w)
	return err
}

func (p *Plan) writeRequests(b *bytes.Buffer) {
	fmt.Fprintf(b, "%d requests", p.Requests)
	if !p.From.IsZero() {
		fmt.Fprintf(b, " in %s, from %s to %s", p.To.Sub(p.From), p.From.Format(time.RFC3339), p.To.Format(time.RFC3339))
	}
	fmt.Fprintf(b, "\n%d for style sheets, scripts, images and the like, which are files already: not counted below\n", p.Assets)
	if p.Own > 0 {
		fmt.Fprintf(b, "%d more were staticify's own\n", p.Own)
	}
	fmt.Fprintf(b, "%d for pages: %d from files, %d from the origin\n", p.Pages, p.Hits, p.Pages-p.Hits)
}

func (p *Plan) writeFiles(b *bytes.Buffer) {
	fmt.Fprintf(b, "\nfiles at the end: %d", len(p.Files))
	if len(p.Files) > shownFiles {
		fmt.Fprintf(b, "; the busiest %d", shownFiles)
	}
	fmt.Fprintln(b)
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for i, f := range p.Files {
		if i == 0 {
			fmt.Fprintln(table, "from files\ta minute\tclients\tcost\t  page")
		}
		if i == shownFiles {
			break
		}
		mark := ""
		if f.Important {
			mark = " (important)"
		}
		fmt.Fprintf(table, "%d\t%.1f\t%d\t%s\t  %s%s\n", f.Hits, 60*f.Rate, f.Clients, f.Cost.Round(time.Millisecond), f.Target, mark)
	}
	table.Flush()
}

// explain says what a reason means in a plan, and what can be done.
func explain(r Reason) string {
	switch r {
	case FewClients:
		return "too few clients had asked for the page when pages were last selected"
	case OverBudget:
		return "other pages save more; raise the budget"
	case Late:
		return "not rendered in time; raise the renders at once"
	case UnknownQuery:
		return "ignore or keep the parameters below"
	case Status:
		return "the answer was an error"
	case Redirect:
		return "the answer was a redirect"
	case Method:
		return "neither GET nor HEAD"
	}
	return ""
}

func (p *Plan) writeMisses(b *bytes.Buffer) {
	fmt.Fprintln(b, "\nwhy the others came from the origin")
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, m := range p.Misses {
		fmt.Fprintf(table, "%d\t%.1f %%\t  %s\t", m.Hits, 100*ratio(m.Hits, p.Pages), m.Reason)
		if text := explain(m.Reason); text != "" {
			fmt.Fprintf(table, "  %s", text)
		}
		fmt.Fprintln(table)
	}
	table.Flush()
}

func (p *Plan) writeRefused(b *bytes.Buffer) {
	if len(p.Refused) == 0 {
		return
	}
	fmt.Fprintln(b, "\nrefused most, lately")
	for _, r := range p.Refused[:min(len(p.Refused), shownRefused)] {
		fmt.Fprintf(b, "%10.0f  %s", r.Hits, r.Reason)
		if r.Detail != "" {
			fmt.Fprintf(b, " %q", r.Detail)
		}
		fmt.Fprintln(b)
	}
}

func (p *Plan) writeCost(b *bytes.Buffer) {
	fmt.Fprintf(b, "\nprocessor time: %s saved, %s spent on renders; files on average: %.0f", rounded(p.Saved), rounded(p.Spent), p.Selected)
	if p.Assumed {
		fmt.Fprint(b, " (a cost was assumed where the log times no requests)")
	}
	fmt.Fprintln(b)
}

func rounded(d time.Duration) time.Duration {
	if d < time.Minute {
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Second)
}
