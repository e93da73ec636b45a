package main

import (
	"fmt"
	"html"
	"strings"
)

// The graph is as munin would draw it, were a day five minutes long: the
// connections to each backend, on top of each other.
const (
	graphWidth, graphHeight = 900, 320
	left, top               = 60, 30
)

var colours = []string{"#00cc00", "#0066b3", "#ff8000", "#ffcc00", "#330099", "#990099", "#ccff00", "#ff0000", "#808080", "#008f00", "#00487d"}

// graph draws the samples as SVG.
func (d *day) graph() string {
	d.samples.mu.Lock()
	defer d.samples.mu.Unlock()
	s := &d.samples
	var series []string
	for _, f := range s.fields {
		if strings.Contains(f, "backend_active") {
			series = append(series, f)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n",
		graphWidth, graphHeight+top+60+14*len(series))
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#f4f4f4"/><text x="%d" y="18" font-size="14">Connections to the backends of %s</text>`+"\n", left, site)
	if len(s.times) < 2 {
		return b.String() + "</svg>\n"
	}
	n := len(s.times)
	base, most := make([]float64, n), 1.0
	sums := make([][]float64, len(series))
	for i, f := range series {
		sums[i] = make([]float64, n)
		for j := range n {
			value := 0.0
			if j < len(s.values[f]) {
				value = s.values[f][j]
			}
			base[j] += value
			sums[i][j] = base[j]
			most = max(most, base[j])
		}
	}
	span := s.times[n-1].Sub(s.times[0]).Seconds()
	x := func(j int) float64 {
		return left + s.times[j].Sub(s.times[0]).Seconds()/span*(graphWidth-left-20)
	}
	y := func(v float64) float64 { return top + graphHeight*(1-v/most) }
	for i := len(series) - 1; i >= 0; i-- {
		var points strings.Builder
		fmt.Fprintf(&points, "%.1f,%.1f ", x(0), y(0))
		for j := range n {
			fmt.Fprintf(&points, "%.1f,%.1f ", x(j), y(sums[i][j]))
		}
		fmt.Fprintf(&points, "%.1f,%.1f", x(n-1), y(0))
		fmt.Fprintf(&b, `<polygon points="%s" fill="%s"/>`+"\n", points.String(), colours[i%len(colours)])
		at := graphHeight + top + 60 + 14*i
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="10" height="10" fill="%s"/><text x="%d" y="%d">%s</text>`+"\n",
			left, at-9, colours[i%len(colours)], left+16, at, html.EscapeString(d.label(series[i])))
	}
	for _, v := range []float64{0, most / 2, most} {
		fmt.Fprintf(&b, `<text x="%d" y="%.1f" text-anchor="end">%.0f</text>`+"\n", left-6, y(v)+4, v)
	}
	for i, e := range d.events {
		at := e.at.Sub(s.times[0]).Seconds()
		if at < 0 || at > span {
			continue
		}
		px := left + at/span*(graphWidth-left-20)
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#000" stroke-dasharray="2,3"/><text x="%.1f" y="%d">%d</text>`+"\n",
			px, top, px, top+graphHeight, px+2, top+graphHeight+14+12*(i%2), i)
	}
	return b.String() + "</svg>\n"
}

// label is a backend's name: a Pi's, or the old server's.
func (d *day) label(field string) string {
	for _, pi := range d.rack.Pis {
		if strings.Contains(field, munin(pi.Public.Addr().String())) {
			return pi.Name
		}
	}
	if strings.Contains(field, munin(oldAddress)) {
		return "the old server"
	}
	return field
}

// munin is how a field's name has an address in it.
func munin(address string) string { return strings.NewReplacer(":", "_").Replace(address) }
