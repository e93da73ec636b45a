package staticify

import (
	"bytes"
	"fmt"
	"io"
	"math"
)

// The picture, in its own units: the plot lies within the margins.
const (
	svgWidth, svgHeight                 = 720, 420
	marginLeft, marginTop               = 60, 50
	plotWidth, plotHeight               = 630, 310
	plotRight, plotBottom               = marginLeft + plotWidth, marginTop + plotHeight
	colourCurve, colourGrid, colourText = "#0b6e99", "#dddddd", "#222222"
	colourMark                          = "#b3261e"
)

// WriteSVG draws the hit ratio by the number of pages, and where the budget stands on it.
func (p *Plan) WriteSVG(w io.Writer) error {
	var b bytes.Buffer
	pages := 1
	if n := len(p.Curve); n > 0 {
		pages = max(pages, p.Curve[n-1].Pages)
	}
	a := axes{&b, float64(pages)}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="%s">`+"\n",
		svgWidth, svgHeight, colourText)
	fmt.Fprintf(&b, "<title>Hit ratio by pages: %.1f %% of %d requests</title>\n", 100*p.HitRatio, p.Pages)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", svgWidth, svgHeight)
	fmt.Fprintf(&b, `<text x="%d" y="28" font-size="16">Hit ratio by number of pages that are files</text>`+"\n", marginLeft)
	a.grid()
	a.curve(p.Curve)
	a.mark(p.Selected, p.HitRatio)
	fmt.Fprintln(&b, "</svg>")
	_, err := b.WriteTo(w)
	return err
}

// axes places what has pages and a ratio.
type axes struct {
	*bytes.Buffer
	pages float64 // at the right end
}

func (a axes) x(pages float64) float64 { return marginLeft + plotWidth*pages/a.pages }
func (a axes) y(ratio float64) float64 { return plotBottom - plotHeight*ratio }

func (a axes) grid() {
	for percent := 0; percent <= 100; percent += 20 {
		y := a.y(float64(percent) / 100)
		fmt.Fprintf(a, `<path d="M%d %.1fH%d" stroke="%s"/>`, marginLeft, y, plotRight, colourGrid)
		fmt.Fprintf(a, `<text x="%d" y="%.1f" text-anchor="end">%d %%</text>`+"\n", marginLeft-8, y+4, percent)
	}
	step := niceStep(a.pages / 6)
	for n := 0.0; n <= a.pages; n += step {
		fmt.Fprintf(a, `<path d="M%.1f %dV%d" stroke="%s"/>`, a.x(n), marginTop, plotBottom, colourGrid)
		fmt.Fprintf(a, `<text x="%.1f" y="%d" text-anchor="middle">%.0f</text>`+"\n", a.x(n), plotBottom+18, n)
	}
	fmt.Fprintf(a, `<text x="%d" y="%d" text-anchor="middle">pages, the most worthwhile first</text>`+"\n",
		marginLeft+plotWidth/2, plotBottom+40)
}

// niceStep is the next 1, 2 or 5 times a power of ten, at least 1.
func niceStep(least float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(max(least, 1))))
	for _, factor := range []float64{1, 2, 5} {
		if factor*power >= least {
			return factor * power
		}
	}
	return 10 * power
}

func (a axes) curve(points []Point) {
	if len(points) == 0 {
		return
	}
	fmt.Fprintf(a, `<path fill="none" stroke="%s" stroke-width="2.5" stroke-linejoin="round" d="`, colourCurve)
	for i, p := range points {
		command := 'L'
		if i == 0 {
			command = 'M'
		}
		fmt.Fprintf(a, "%c%.1f %.1f", command, a.x(float64(p.Pages)), a.y(p.HitRatio))
	}
	fmt.Fprintln(a, `"/>`)
}

// mark shows what the budget gives. Its text stands where the curve is not: below, on the side with more room.
func (a axes) mark(pages, ratio float64) {
	x, y := a.x(min(pages, a.pages)), a.y(ratio)
	anchor, dx := "start", 10.0
	if x > marginLeft+plotWidth*2/3 {
		anchor, dx = "end", -10
	}
	fmt.Fprintf(a, `<path d="M%.1f %.1fV%d" stroke="%s" stroke-dasharray="4 3"/>`, x, y, plotBottom, colourMark)
	fmt.Fprintf(a, `<circle cx="%.1f" cy="%.1f" r="4.5" fill="%s"/>`, x, y, colourMark)
	fmt.Fprintf(a, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s" stroke="white" stroke-width="4" paint-order="stroke">this budget: %.0f pages, %.1f %%</text>`+"\n",
		x+dx, min(y+28, plotBottom-8), anchor, colourMark, pages, 100*ratio)
}
