package tour

import (
	"fmt"
	"html/template"
	"strings"
)

// A point of a chart.
type point struct{ x, y float64 }

// chart draws a line through points, whose x ascends, on axes with units.
func chart(points []point, xUnit, yUnit string) template.HTML {
	const width, height, left, bottom = 900.0, 260.0, 60.0, 40.0
	if len(points) == 0 {
		return ""
	}
	var top float64
	for _, p := range points {
		top = max(top, p.y)
	}
	last := points[len(points)-1].x
	at := func(p point) (x, y float64) {
		return left + (width-left-20)*p.x/max(last, 1e-9), height - bottom - (height-bottom-20)*p.y/max(top, 1e-9)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s over %s">`, width, height, yUnit, xUnit)
	for i := range 5 {
		value := top * float64(i) / 4
		_, y := at(point{0, value})
		fmt.Fprintf(&b, `<path class="grid" d="M%g %.1f H%g"/><text class="small" x="%g" y="%.1f" text-anchor="end">%.1f %s</text>`, left, y, width-20, left-6, y+4, value, yUnit)
		value = last * float64(i) / 4
		x, _ := at(point{value, 0})
		fmt.Fprintf(&b, `<text class="small" x="%.1f" y="%g" text-anchor="middle">%.1f %s</text>`, x, height-bottom+20, value, xUnit)
	}
	b.WriteString(`<polyline class="line" points="`)
	for _, p := range points {
		x, y := at(p)
		fmt.Fprintf(&b, "%.1f,%.1f ", x, y)
	}
	b.WriteString(`"/></svg>`)
	return template.HTML(b.String())
}

// bars draws how long each stop took.
func bars(reports []Report) template.HTML {
	const row, left, width = 30, 110, 640
	var longest float64
	for _, r := range reports {
		longest = max(longest, r.Took.Seconds())
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 900 %d" role="img" aria-label="how long each stop took">`, row*len(reports)+10)
	for i, r := range reports {
		y, length := i*row+5, int(width*r.Took.Seconds()/max(longest, 1e-9))
		fmt.Fprintf(&b, `<text class="small" x="%d" y="%d" text-anchor="end">%s</text>`, left-10, y+16, template.HTMLEscapeString(r.Name))
		fmt.Fprintf(&b, `<rect class="bar" x="%d" y="%d" width="%d" height="%d" rx="3"/>`, left, y, max(length, 2), row-10)
		fmt.Fprintf(&b, `<text class="small" x="%d" y="%d">%d ms</text>`, left+max(length, 2)+8, y+16, r.Took.Milliseconds())
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}
