package nat64ctl

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/nat64"
	"github.com/berryrack/berryrack/nat64/render"
)

// Config is `nat64ctl config`: other programs' configuration.
type Config struct {
	TAYGA   configTAYGA   `cmd:"" name:"tayga" help:"The translator TAYGA: tayga.conf." example:"config tayga --prefix 2001:db8:64::/96"`
	Jool    configJool    `cmd:"" name:"jool" help:"The translator Jool: a file for jool file handle." example:"config jool --prefix 64:ff9b::/96"`
	Unbound configUnbound `cmd:"" name:"unbound" help:"unbound as a DNS64." example:"config unbound --prefix 64:ff9b::/96"`
	BIND    configBIND    `cmd:"" name:"bind" help:"BIND as a DNS64: for options or a view." example:"config bind --prefix 64:ff9b::/96 --map 10.0.0.0/8=none"`
	Radvd   configRadvd   `cmd:"" name:"radvd" help:"radvd announcing the prefix." example:"config radvd --interface eth0 --prefix 64:ff9b::/96 --for 2.20"`
}

// of is what each of them needs.
type of struct {
	Prefix nat64.Prefix `required:"" help:"NAT64 prefix."`
	For    version      `placeholder:"VERSION" help:"The program's version. Default: that of Debian 12."`
}

// A version is a program's, from the command line.
type version render.Version

func (v *version) UnmarshalText(text []byte) error {
	parsed, err := render.ParseVersion(string(text))
	*v = version(parsed)
	return err
}

// out prints what was rendered. What cannot be expressed is a usage error.
func out(std cli.Streams, text string, err error) error {
	if err != nil {
		return &cli.UsageError{Err: err}
	}
	_, err = fmt.Fprint(std.Out, text)
	return err
}

type configTAYGA struct {
	of
	Pool         netip.Prefix `help:"IPv4 pool. Default: 192.168.255.0/24."`
	IPv6         netip.Addr   `name:"ipv6" help:"TAYGA's own IPv6 address."`
	CarryPrivate bool         `help:"Let the Well-Known Prefix carry private addresses."`
}

func (c *configTAYGA) Run(std cli.Streams) error {
	text, err := render.TAYGA{
		Version: render.Version(c.For), Table: nat64.TableOf(c.Prefix), Pool: c.Pool, IPv6: c.IPv6, CarryPrivate: c.CarryPrivate,
	}.Render()
	return out(std, text, err)
}

type configJool struct {
	of
	Instance string         `help:"Name of the instance. Default: default."`
	Pool4    []netip.Prefix `help:"IPv4 addresses to masquerade as."`
}

func (c *configJool) Run(std cli.Streams) error {
	text, err := render.Jool{Version: render.Version(c.For), Table: nat64.TableOf(c.Prefix), Instance: c.Instance, Pool4: c.Pool4}.Render()
	return out(std, text, err)
}

type configUnbound struct {
	of
	Validate   bool     `help:"Validate DNSSEC."`
	ReachIPv4  bool     `name:"reach-ipv4" help:"Let unbound itself use the NAT64."`
	IgnoreAAAA []string `name:"ignore-aaaa" placeholder:"NAME" help:"Names whose AAAA records are not believed."`
}

func (c *configUnbound) Run(std cli.Streams) error {
	text, err := render.Unbound{
		Version: render.Version(c.For), Table: nat64.TableOf(c.Prefix), Validate: c.Validate, ReachIPv4: c.ReachIPv4, IgnoreAAAA: c.IgnoreAAAA,
	}.Render()
	return out(std, text, err)
}

type configBIND struct {
	of
	Map     []string       `placeholder:"RANGE=PREFIX" help:"A range of IPv4 addresses with a prefix of its own, or none: 10.0.0.0/8=none."`
	Clients []netip.Prefix `placeholder:"NET" help:"Who gets synthesized answers. Default: any."`
}

func (c *configBIND) Run(std cli.Streams) error {
	table, err := tableOf(c.Prefix, c.Map)
	if err != nil {
		return &cli.UsageError{Err: err}
	}
	text, err := render.BIND{Version: render.Version(c.For), Table: table, Clients: c.Clients}.Render()
	return out(std, text, err)
}

// tableOf returns the table of a prefix for all and of ranges with others.
func tableOf(prefix nat64.Prefix, ranges []string) (*nat64.Table, error) {
	rules := []nat64.Rule{{IPv4: netip.PrefixFrom(netip.IPv4Unspecified(), 0), Prefix: prefix}}
	for _, text := range ranges {
		ipv4, target, _ := strings.Cut(text, "=")
		network, err := netip.ParsePrefix(ipv4)
		if err != nil {
			return nil, fmt.Errorf("--map %s: %q is not a range such as 10.0.0.0/8", text, ipv4)
		}
		rule := nat64.Rule{IPv4: network}
		if target != "none" {
			if rule.Prefix, err = nat64.ParsePrefix(target); err != nil {
				return nil, fmt.Errorf("--map %s: %w", text, err)
			}
		}
		rules = append(rules, rule)
	}
	return nat64.NewTable(rules...)
}

type configRadvd struct {
	of
	Interface string        `required:"" help:"Where to announce it."`
	Lifetime  time.Duration `help:"How long hosts may use it. Default: 30m."`
}

func (c *configRadvd) Run(std cli.Streams) error {
	text, err := render.Radvd{Version: render.Version(c.For), Interface: c.Interface, Prefixes: []nat64.Prefix{c.Prefix}, Lifetime: c.Lifetime}.Render()
	return out(std, text, err)
}
