// Dns01hook is a hook program for dehydrated, certbot and lego: it publishes
// and removes the TXT records of dns-01 challenges.
package main

import (
	"context"
	"os"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/dns01hook"
)

const description = `A dns-01 hook for dehydrated, certbot and lego.

It speaks the protocol of the program that calls it. Example, in /etc/dehydrated/config:

  CHALLENGETYPE=dns-01  HOOK=/usr/local/bin/dns01hook  HOOK_CHAIN=yes

and by hand, to see what it would do:

  CHALLENGETYPE=dns-01 dns01hook -n deploy_challenge example.org - VALUE`

type grammar struct {
	cli.Flags
	Config  string   `short:"f" placeholder:"FILE" help:"Configuration; else $$DNS01HOOK_CONFIG, /etc/berryrack/dns01hook.yaml, or the Mythic Beasts hook's files."`
	State   string   `placeholder:"DIR" help:"Directory of the journal; default /var/lib/berryrack/dns01hook."`
	Dialect string   `enum:",dehydrated,certbot,lego" default:"" placeholder:"NAME" help:"dehydrated, certbot or lego; else recognised from the call."`
	DryRun  bool     `short:"n" help:"Print the changes, for nsupdate, and make none. Exits with 3 when there are any."`
	Args    []string `arg:"" optional:"" passthrough:"" help:"As the ACME client gives them."`
}

func (g *grammar) Run(ctx context.Context, std cli.Streams) error {
	options := dns01hook.Options{Config: g.Config, State: g.State, Dialect: g.Dialect, DryRun: g.DryRun}
	args := g.Args
	if len(args) > 0 && args[0] == "--" { // kong leaves it there
		args = args[1:]
	}
	return dns01hook.Run(ctx, options, append([]string{os.Args[0]}, args...), std)
}

func main() {
	cli.Program{Name: "dns01hook", Description: description, Grammar: &grammar{}}.Main()
}
