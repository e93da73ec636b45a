package plan

import (
	"fmt"
	"html"
	"io"
	"strings"
	"time"

	"github.com/berryrack/berryrack/dnssec/rollover"
)

// The sizes of the picture, in pixels.
const (
	svgWidth  = 1200
	svgLeft   = 190 // of the bands
	svgRight  = 24
	svgTop    = 96
	bandHigh  = 9
	bandStep  = 12
	laneSpace = 14
	axisRoom  = 14
)

const svgStyle = `<style>
svg{--ink:#1d2733;--faint:#67727e;--grid:#dde3e9;--paper:#ffffff;--lane:#f4f6f8;--rum:#c77f0a;--omni:#2b6cb0;--unret:#b0413e;
font:12px system-ui,sans-serif;background:var(--paper)}
@media (prefers-color-scheme:dark){svg{--ink:#e8edf2;--faint:#97a3af;--grid:#303a45;--paper:#14191f;--lane:#1b222a;--rum:#e5a53a;--omni:#5b9bdf;--unret:#dd7a76}}
text{fill:var(--ink)}.faint{fill:var(--faint);font-size:10px}.title{font-size:16px;font-weight:600}
.grid{stroke:var(--grid)}.lane{fill:var(--lane)}.rumoured{fill:url(#rum)}.omnipresent{fill:var(--omni)}.unretentive{fill:url(#unret)}
.rum{stroke:var(--rum)}.unret{stroke:var(--unret)}.base-rum{fill:var(--rum);fill-opacity:.3}.base-unret{fill:var(--unret);fill-opacity:.25}
.mark{fill:var(--ink);stroke:var(--paper)}
</style>
<defs>
<pattern id="rum" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="base-rum" width="5" height="5"/><path class="rum" d="M0 0V5" stroke-width="3"/></pattern>
<pattern id="unret" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><rect class="base-unret" width="5" height="5"/><path class="unret" d="M0 0V5" stroke-width="2.4"/></pattern>
</defs>
`

// drawing is a timeline on its way to a picture.
type drawing struct {
	*Timeline
	strings.Builder
	height float64
}

// WriteSVG draws the timeline: a lane for each key, a band for each of its records
// with the states that it goes through, and a mark where its DS record is lodged or
// withdrawn. It can be read on light and on dark paper.
func (t *Timeline) WriteSVG(w io.Writer) error {
	d := &drawing{Timeline: t, height: svgTop}
	for _, lane := range t.Lanes {
		d.height += lane.height()
	}
	d.height += axisRoom
	fmt.Fprintf(d, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%.0f" viewBox="0 0 %d %.0f" role="img">`+"\n", svgWidth, d.height, svgWidth, d.height)
	fmt.Fprintf(d, "<title>Keys of %s</title>\n%s", html.EscapeString(t.Zone), svgStyle)
	d.head()
	d.lanes(d.paper)
	d.axis()
	d.lanes(d.lane)
	d.WriteString("</svg>\n")
	_, err := io.WriteString(w, d.String())
	return err
}

// bands returns the records of the lane, from top to bottom.
func (l *Lane) bands() []rollover.Record {
	var bands []rollover.Record
	for _, record := range []rollover.Record{rollover.DS, rollover.DNSKEY, rollover.KRRSIG, rollover.ZRRSIG} {
		if l.Role.Has(record) {
			bands = append(bands, record)
		}
	}
	return bands
}

func (l *Lane) height() float64 { return float64(len(l.bands())*bandStep + laneSpace) }

// x is where a time is.
func (d *drawing) x(at time.Time) float64 {
	part := float64(at.Sub(d.From)) / float64(max(d.To.Sub(d.From), 1))
	return svgLeft + min(max(part, 0), 1)*(svgWidth-svgLeft-svgRight)
}

// head writes the title and the legend.
func (d *drawing) head() {
	fmt.Fprintf(d, `<text class="title" x="20" y="32">Keys of %s</text>`+"\n", html.EscapeString(d.Zone))
	fmt.Fprintf(d, `<text class="faint" x="20" y="52">%s to %s UTC</text>`+"\n", minute(d.From), minute(d.To))
	x := svgWidth - 560
	for _, state := range []rollover.RecordState{rollover.Rumoured, rollover.Omnipresent, rollover.Unretentive} {
		fmt.Fprintf(d, `<rect class="%s" x="%d" y="23" width="26" height="%d"/><text x="%d" y="32">%s</text>`+"\n", state, x, bandHigh, x+33, state)
		x += 130
	}
	fmt.Fprintf(d, `<path class="mark" d="M%d 22l5 5 -5 5 -5 -5z"/><text x="%d" y="32">DS lodged, withdrawn</text>`+"\n", x+13, x+26)
}

// axis writes the times and their lines.
func (d *drawing) axis() {
	ticks, layout := d.ticks()
	for _, at := range ticks {
		x := d.x(at)
		fmt.Fprintf(d, `<path class="grid" d="M%.1f %dV%.0f"/><text class="faint" x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			x, svgTop-10, d.height-axisRoom, x, svgTop-16, at.UTC().Format(layout))
	}
}

// ticks returns at most 12 round times, and how to write them.
func (d *drawing) ticks() (ticks []time.Time, layout string) {
	from := d.From.UTC()
	midnight := time.Date(from.Year(), from.Month(), from.Day(), 0, 0, 0, 0, time.UTC)
	month := time.Date(from.Year(), from.Month(), 1, 0, 0, 0, 0, time.UTC)
	january := time.Date(from.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		start              time.Time
		length             time.Duration
		days, months, year int
		layout             string
	}{
		{from.Truncate(time.Minute), 5 * time.Second, 0, 0, 0, "15:04:05"},
		{from.Truncate(time.Minute), 30 * time.Second, 0, 0, 0, "15:04:05"},
		{from.Truncate(time.Hour), 5 * time.Minute, 0, 0, 0, "15:04"},
		{midnight, time.Hour, 0, 0, 0, "2 Jan 15:04"}, {midnight, 6 * time.Hour, 0, 0, 0, "2 Jan 15:04"},
		{midnight, 0, 1, 0, 0, "2 Jan"}, {midnight, 0, 7, 0, 0, "2 Jan"}, {month, 0, 0, 1, 0, "Jan 2006"},
		{january, 0, 0, 3, 0, "Jan 2006"}, {january, 0, 0, 6, 0, "Jan 2006"}, {january, 0, 0, 0, 1, "2006"}, {january, 0, 0, 0, 10, "2006"},
	} {
		ticks = ticks[:0]
		for at := step.start; !at.After(d.To) && len(ticks) <= 12; at = at.Add(step.length).AddDate(step.year, step.months, step.days) {
			if !at.Before(d.From) {
				ticks = append(ticks, at)
			}
		}
		if len(ticks) <= 12 {
			return ticks, step.layout
		}
	}
	return nil, ""
}

// lanes calls draw for each lane with where it is.
func (d *drawing) lanes(draw func(l *Lane, y float64)) {
	y := float64(svgTop)
	for i := range d.Lanes {
		draw(&d.Lanes[i], y)
		y += d.Lanes[i].height()
	}
}

// paper draws what is behind a lane.
func (d *drawing) paper(l *Lane, y float64) {
	fmt.Fprintf(d, `<rect class="lane" x="12" y="%.0f" width="%d" height="%d" rx="4"/>`+"\n", y-4, svgWidth-24, len(l.bands())*bandStep+6)
}

// lane draws a key.
func (d *drawing) lane(l *Lane, y float64) {
	fmt.Fprintf(d, `<text x="20" y="%.0f">%s</text>`+"\n", y+9, html.EscapeString(l.Name))
	for i, record := range l.bands() {
		top := y + float64(i*bandStep)
		fmt.Fprintf(d, `<text class="faint" x="%d" y="%.0f" text-anchor="end">%s</text>`+"\n", svgLeft-8, top+8, record)
		for _, span := range l.Spans {
			if span.Record == record {
				d.span(l, &span, top)
			}
		}
	}
}

// span draws a state of a record, and the mark of a DS record that changes.
func (d *drawing) span(l *Lane, s *Span, top float64) {
	to := s.To
	if to.IsZero() {
		to = d.To
	}
	x := d.x(s.From)
	fmt.Fprintf(d, `<rect class="%s" x="%.1f" y="%.0f" width="%.1f" height="%d"><title>%s: %s %s from %s to %s</title></rect>`+"\n",
		s.State, x, top, max(d.x(to)-x, 1.5), bandHigh, html.EscapeString(l.Name), s.Record, s.State, minute(s.From), minute(to))
	if s.Record == rollover.DS && s.State != rollover.Omnipresent && s.From.After(d.From) {
		fmt.Fprintf(d, `<path class="mark" d="M%.1f %.1fl5 5 -5 5 -5 -5z"><title>%s: %s %s</title></path>`+"\n",
			x, top+float64(bandHigh)/2-5, html.EscapeString(l.Name), map[bool]string{true: "lodge its DS record", false: "withdraw its DS record"}[s.State == rollover.Rumoured], minute(s.From))
	}
}
