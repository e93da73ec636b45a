// Tour shows all packages of berryrack at work, on one machine and in one page.
package main

import (
	"context"
	"fmt"
	"io"
	"log"

	legolog "github.com/go-acme/lego/v4/log"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/tour"
)

const description = `Goes through all that berryrack does, on loopback alone: no root, no other programs, no network. Prints what each stop found and the lines of Go that did it, and writes it all as one HTML page, whose path it prints last.

Example: tour --out /tmp/tour`

type grammar struct {
	cli.Flags
	Out string `default:"tour-report" placeholder:"DIR" help:"Where the page is written (${default})."`
}

func main() {
	legolog.Logger = log.New(io.Discard, "", 0) // it would tell of each nonce that the test authority refuses on purpose
	cli.Program{Name: "tour", Description: description, Grammar: &grammar{}}.Main()
}

func (g *grammar) Run(ctx context.Context, std cli.Streams) error {
	t := tour.Tour{Dir: g.Out, Out: std.Out}
	page, err := t.Run(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(std.Out, page)
	return nil
}
