package poectl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/berryrack/berryrack/poe"
)

// Line is a port in an answer.
type Line struct {
	Switch string `json:"switch"`
	Name   string `json:"name,omitempty"`
	poe.Status
}

// Supply is a main power source in an answer.
type Supply struct {
	Switch string `json:"switch"`
	poe.Supply
}

// Overview is all ports, listed or not, and what they draw.
type Overview struct {
	Ports    []Line   `json:"ports"`
	Supplies []Supply `json:"supplies,omitempty"`
}

// Overview looks at all switches. What could not be read is in the error; the
// rest is returned all the same.
func (r *Rack) Overview(ctx context.Context) (Overview, error) {
	o := Overview{Ports: []Line{}}
	var problems []error
	for _, s := range r.Config.Switches {
		u, err := r.unit(ctx, s.Name, reading)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		ports, err := u.PSE.Status(ctx)
		problems = append(problems, err)
		for _, status := range ports {
			o.Ports = append(o.Ports, Line{s.Name, u.Guard.Ports[status.Port].Name, status})
		}
		budgeter, ok := u.PSE.(poe.Budgeter)
		if !ok || err != nil {
			continue
		}
		supplies, err := budgeter.Supplies(ctx)
		if !errors.Is(err, errors.ErrUnsupported) {
			problems = append(problems, err)
		}
		for _, supply := range supplies {
			o.Supplies = append(o.Supplies, Supply{s.Name, supply})
		}
	}
	return o, errors.Join(problems...)
}

// WriteText writes a table.
func (o Overview) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SWITCH\tPORT\tNAME\tADMIN\tDETECTION\tCLASS\tWATTS")
	for _, p := range o.Ports {
		fmt.Fprintf(t, "%s\t%v\t%s\t%v\t%v\t%v\t%s\n", p.Switch, p.Port, or(p.Name, "-"), p.Admin, p.Detection, p.Class, watts(p.Status))
	}
	for _, s := range o.Supplies {
		fmt.Fprintf(t, "%s\t%d\t-\tsupply\t%s\t-\t%.1f of %.0f\n", s.Switch, s.Group, map[bool]string{true: "on", false: "off"}[s.On], s.Used, s.Watts)
	}
	return t.Flush()
}

// WriteJSON writes one document.
func (o Overview) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(o)
}

func watts(s poe.Status) string {
	if !s.Metered {
		return "-"
	}
	return fmt.Sprintf("%.1f", s.Watts)
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// WriteMunin writes what munin asks a plugin for: the watts of each listed
// port, or their graph with config.
func (o Overview) WriteMunin(w io.Writer, config bool) error {
	var b strings.Builder
	if config {
		b.WriteString("graph_title PoE power\ngraph_vlabel watts\ngraph_category sensors\ngraph_args --base 1000 -l 0\n")
	}
	for _, p := range o.Ports {
		if p.Name == "" {
			continue
		}
		field := muninField(p.Name)
		switch {
		case config:
			fmt.Fprintf(&b, "%s.label %s\n%s.draw AREASTACK\n%s.min 0\n", field, p.Name, field, field)
		case p.Metered:
			fmt.Fprintf(&b, "%s.value %.3f\n", field, p.Watts)
		default:
			fmt.Fprintf(&b, "%s.value U\n", field)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// muninField makes a field's name: letters, digits and _, no digit at first.
func muninField(name string) string {
	field := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, name)
	if field[0] >= '0' && field[0] <= '9' {
		field = "_" + field
	}
	return field
}
