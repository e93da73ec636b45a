package tour

import (
	"context"
	"fmt"
	"html/template"
	"strings"

	"github.com/berryrack/berryrack/examples/internal/rack"
)

// planRack plans the rack that pirack knows without a file.
func planRack(context.Context, *Tour) (result, error) {
	// shown:
	r, err := rack.Parse("rack.yaml", rack.Story)
	if err != nil {
		return result{}, err
	}
	tree, err := r.Tree() // every file that the server, the switch and each Pi need
	// until here
	if err != nil {
		return result{}, err
	}
	first := r.Pis[0]
	return result{
		facts: []string{
			fmt.Sprintf("%d Pis, a /30 and a VLAN each, %d files", len(r.Pis), len(tree)),
			fmt.Sprintf("%s boots with: %s", first.Name, first.Cmdline),
		},
		picture: rackPicture(r),
		caption: "Each Pi sees the fileserver, and no other Pi, on a VLAN of its own; VLAN 131 is the public one.",
	}, nil
}

// rackPicture draws the server, the switch and the Pis with their links.
func rackPicture(r *rack.Rack) template.HTML {
	const row, left = 44, 420
	height := row*len(r.Pis) + 20
	middle := height / 2
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 900 %d" role="img" aria-label="the rack: a fileserver, a switch and %d Pis">`, height, len(r.Pis))
	box(&b, 10, middle-30, 150, 60, "fileserver", "port "+fmt.Sprint(r.Config.Server.SwitchPort))
	box(&b, 250, 10, 90, height-20, "switch", "PoE")
	fmt.Fprintf(&b, `<path class="trunk" d="M160 %d H250"/><text class="small" x="205" y="%d" text-anchor="middle">trunk</text>`, middle, middle-8)
	for i, pi := range r.Pis {
		y := 10 + i*row
		fmt.Fprintf(&b, `<path class="link" d="M340 %d H%d"/>`, y+row/2, left+100)
		fmt.Fprintf(&b, `<text class="small" x="352" y="%d">port %d · VLAN %d · %s</text>`, y+row/2-6, pi.Port, pi.VLAN, pi.Link.Network)
		box(&b, left+160, y+5, 90, row-10, pi.Name, "")
		fmt.Fprintf(&b, `<path class="link" d="M%d %d h60"/><text class="small" x="%d" y="%d">%s</text>`, left+100, y+row/2, left+262, y+row/2+4, pi.Public.Addr())
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// box draws a box with a name and a word below it.
func box(b *strings.Builder, x, y, width, height int, name, below string) {
	fmt.Fprintf(b, `<rect class="box" x="%d" y="%d" width="%d" height="%d" rx="6"/>`, x, y, width, height)
	at := y + height/2 + 5
	if below != "" {
		fmt.Fprintf(b, `<text class="small" x="%d" y="%d" text-anchor="middle">%s</text>`, x+width/2, at+14, template.HTMLEscapeString(below))
		at -= 4
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`, x+width/2, at, template.HTMLEscapeString(name))
}
