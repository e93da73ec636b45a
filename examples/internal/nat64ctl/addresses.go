package nat64ctl

import (
	"fmt"
	"net/netip"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/nat64"
)

// Synth is `nat64ctl synth`.
type Synth struct {
	Prefix nat64.Prefix `arg:"" help:"NAT64 prefix, such as 64:ff9b::/96."`
	IPv4   netip.Addr   `arg:"" name:"ipv4" help:"IPv4 address."`
}

// Run prints the IPv6 address.
func (c *Synth) Run(std cli.Streams) error {
	ipv6, err := c.Prefix.Synthesize(c.IPv4)
	if err != nil {
		return &cli.UsageError{Err: fmt.Errorf("%v: %w", c.IPv4, err)}
	}
	fmt.Fprintln(std.Out, ipv6)
	return nil
}

// Extract is `nat64ctl extract`.
type Extract struct {
	Prefix nat64.Prefix `arg:"" help:"NAT64 prefix, such as 64:ff9b::/96."`
	IPv6   netip.Addr   `arg:"" name:"ipv6" help:"IPv6 address in it."`
}

// Run prints the IPv4 address.
func (c *Extract) Run(std cli.Streams) error {
	ipv4, ok := c.Prefix.Extract(c.IPv6)
	if !ok {
		return fmt.Errorf("%v carries no IPv4 address in %v", c.IPv6, c.Prefix)
	}
	fmt.Fprintln(std.Out, ipv4)
	return nil
}
