// Nat64ctl takes an IPv6-only machine to the IPv4 internet and back: it finds
// the network's NAT64 and what of it works, is a DNS64 and a reverse proxy,
// and writes the configuration of the programs around it.
package main

import (
	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/nat64ctl"
)

const description = `Takes IPv6-only machines to the IPv4 internet (NAT64, DNS64) and back (a reverse proxy).

Example: nat64ctl get http://198.51.100.7/ && nat64ctl frontend -f frontend.yaml`

type grammar struct {
	cli.Flags
	Synth    nat64ctl.Synth    `cmd:"" help:"Print the IPv6 address that carries an IPv4 address." example:"synth 64:ff9b::/96 8.8.8.8"`
	Extract  nat64ctl.Extract  `cmd:"" help:"Print the IPv4 address that an IPv6 address carries." example:"extract 64:ff9b::/96 64:ff9b::808:808"`
	Discover nat64ctl.Discover `cmd:"" help:"Print the network's NAT64 prefixes." example:"discover --watch"`
	Get      nat64ctl.Get      `cmd:"" help:"Fetch a URL, through the NAT64 where there is no IPv4." example:"get http://198.51.100.7/"`
	Check    nat64ctl.Check    `cmd:"" help:"Find out what of the way to IPv4 works. Exits 3 if anything does not." example:"check --url http://198.51.100.7/big"`
	DNS64    nat64ctl.DNS64    `cmd:"" name:"dns64" help:"Answer for IPv6-only clients (RFC 6147)." example:"dns64 --listen [::1]:53 --upstream 192.0.2.53:53"`
	Frontend nat64ctl.Reverse  `cmd:"" help:"Serve IPv4 clients from IPv6-only web servers." example:"frontend -f frontend.yaml"`
	Config   nat64ctl.Config   `cmd:"" help:"Write the configuration of other programs."`
}

func main() {
	cli.Program{Name: "nat64ctl", Description: description, Grammar: &grammar{}}.Main()
}
