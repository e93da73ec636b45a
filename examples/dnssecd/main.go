// Dnssecd keeps zones signed, and rolls their keys over.
package main

import (
	"context"
	"log/slog"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/daemon"
	"github.com/berryrack/berryrack/examples/internal/dnssecd"
)

const description = `Signs zones, and rolls their keys over.

Example: dnssecd enable example.org`

type grammar struct {
	cli.Flags
	Enable   enableCmd   `cmd:"" help:"Sign a zone: the green button." example:"enable example.org"`
	Disable  disableCmd  `cmd:"" help:"Make a zone unsigned, its DS records first." example:"disable example.org"`
	Status   statusCmd   `cmd:"" help:"Show how zones and their keys are, and what they wait for." example:"status example.org"`
	Plan     planCmd     `cmd:"" help:"Show what will happen to the keys, and when." example:"plan --years 2 --svg plan.svg example.org"`
	DS       dsCmd       `cmd:"" name:"ds" help:"Print the DS set. Exits with 3, and says when, before it may be lodged." example:"ds example.org"`
	Roll     rollCmd     `cmd:"" help:"Roll a key over now, or to another algorithm." example:"roll ksk example.org --alg 15"`
	Run      runCmd      `cmd:"" help:"Look after the zones and serve them, until stopped. SIGHUP reads configuration and zones again." example:"run -f dnssecd.yaml"`
	Simulate simulateCmd `cmd:"" help:"Live through years of a zone in seconds, in a temporary directory." example:"simulate --years 5 --svg five-years.svg"`
	Conf     confCmd     `cmd:"" name:"config" help:"Print the configuration of a secondary server. It holds secrets." example:"config knot"`
}

func main() {
	cli.Program{Name: "dnssecd", Description: description, Grammar: &grammar{}}.Main()
}

type common struct {
	Config string `short:"f" placeholder:"FILE" help:"Configuration; else /etc/berryrack/dnssecd.yaml, or one without zones."`
	State  string `placeholder:"DIR" help:"Directory of keys and state; default /var/lib/berryrack/dnssecd."`
}

func (c common) options(std cli.Streams) dnssecd.Options {
	return dnssecd.Options{Config: c.Config, State: c.State, Log: slog.New(slog.DiscardHandler)}
}

type printing struct {
	common
	JSON bool `name:"json" help:"Print one JSON document."`
}

func (c printing) options(std cli.Streams) dnssecd.Options {
	o := c.common.options(std)
	o.JSON = c.JSON
	return o
}

type changing struct {
	printing
	DryRun bool `short:"n" help:"Print what would be done. Exits with 3 when there is something."`
}

func (c changing) options(std cli.Streams) dnssecd.Options {
	o := c.printing.options(std)
	o.DryRun = c.DryRun
	return o
}

type enableCmd struct {
	changing
	Keys string `placeholder:"DIR" help:"Take over keys of the zone from here, in BIND's files."`
	Zone string `arg:"" help:"Name of the zone."`
}

func (c *enableCmd) Run(ctx context.Context, std cli.Streams) error {
	return dnssecd.Enable(ctx, c.options(std), c.Zone, c.Keys, std)
}

type disableCmd struct {
	changing
	Zone string `arg:"" help:"Name of the zone."`
}

func (c *disableCmd) Run(ctx context.Context, std cli.Streams) error {
	return dnssecd.Disable(ctx, c.options(std), c.Zone, std)
}

type statusCmd struct {
	printing
	Zone string `arg:"" optional:"" help:"Name of the zone; default all."`
}

func (c *statusCmd) Run(std cli.Streams) error { return dnssecd.Status(c.options(std), c.Zone, std) }

type planCmd struct {
	printing
	Years int    `default:"1" help:"How far to look."`
	SVG   string `name:"svg" placeholder:"FILE" help:"Draw it."`
	Zone  string `arg:"" optional:"" help:"Name of the zone; default all."`
}

func (c *planCmd) Run(std cli.Streams) error {
	return dnssecd.Plan(c.options(std), c.Zone, c.Years, c.SVG, std)
}

type dsCmd struct {
	printing
	Zone string `arg:"" help:"Name of the zone."`
}

func (c *dsCmd) Run(std cli.Streams) error { return dnssecd.DS(c.options(std), c.Zone, std) }

type rollCmd struct {
	changing
	Alg       uint8  `help:"To this algorithm, that of all keys of the zone from now on: 8, 13, 14 or 15."`
	Emergency bool   `help:"As fast as TTLs allow, without margins: the key is in wrong hands."`
	Role      string `arg:"" enum:"ksk,zsk,csk" help:"ksk, zsk or csk."`
	Zone      string `arg:"" help:"Name of the zone."`
}

func (c *rollCmd) Run(ctx context.Context, std cli.Streams) error {
	return dnssecd.Roll(ctx, c.options(std), c.Role, c.Zone, c.Alg, c.Emergency, std)
}

type runCmd struct {
	common
	daemon.Flags
}

func (c *runCmd) Run(ctx context.Context, std cli.Streams) error {
	o := c.options(std)
	o.Log = daemon.Logger(std.Err)
	return dnssecd.Run(ctx, o, c.Flags, std)
}

type simulateCmd struct {
	Years int    `default:"5" help:"How many."`
	SVG   string `name:"svg" placeholder:"FILE" help:"Draw it."`
	JSON  bool   `name:"json" help:"Print one JSON document."`
}

func (c *simulateCmd) Run(ctx context.Context, std cli.Streams) error {
	return dnssecd.Simulate(ctx, c.Years, c.SVG, c.JSON, std)
}

type confCmd struct {
	common
	Primary string `placeholder:"ADDR" help:"This server, as the secondary reaches it; default the first address that it listens on."`
	Server  string `arg:"" enum:"knot,nsd,bind" help:"knot, nsd or bind."`
}

func (c *confCmd) Run(std cli.Streams) error {
	return dnssecd.SecondaryConfig(c.options(std), c.Server, c.Primary, std)
}
