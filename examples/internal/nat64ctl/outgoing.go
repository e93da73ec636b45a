package nat64ctl

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/daemon"
	"github.com/berryrack/berryrack/nat64"
	"github.com/berryrack/berryrack/nat64/check"
)

// found is how discover prints a prefix.
type found struct {
	Prefix    nat64.Prefix `json:"prefix"`
	Source    nat64.Source `json:"source"`
	From      string       `json:"from"`
	Expires   time.Time    `json:"expires"`
	Confirmed bool         `json:"confirmed"`
}

func printFound(w io.Writer, all []nat64.Found, asJSON bool) error {
	if asJSON {
		list := make([]found, len(all))
		for i, f := range all {
			list[i] = found{f.Prefix, f.Source, f.From, f.Expires.UTC().Truncate(time.Second), f.Paired}
		}
		return json.NewEncoder(w).Encode(list)
	}
	for _, f := range all {
		unconfirmed := ""
		if !f.Paired {
			unconfirmed = ", unconfirmed"
		}
		fmt.Fprintf(w, "%v by %s from %s, for %v%s\n", f.Prefix, f.Source, f.From, time.Until(f.Expires).Round(time.Second), unconfirmed)
	}
	if len(all) == 0 {
		fmt.Fprintln(w, "no prefix")
	}
	return nil
}

// Discover is `nat64ctl discover`.
type Discover struct {
	Servers []string `name:"server" placeholder:"ADDR" help:"The network's resolvers, with ports. Default: those of /etc/resolv.conf."`
	Watch   bool     `help:"Go on, and print the prefixes each time that they change."`
	JSON    bool     `name:"json" help:"Print one JSON document; with --watch one a line."`
	daemon.Flags
}

// Run prints what the network announces.
func (c *Discover) Run(ctx context.Context, std cli.Streams) error {
	d := &nat64.Discoverer{Servers: c.Servers}
	if !c.Watch {
		all, err := d.Discover(ctx)
		if err != nil {
			return err
		}
		return printFound(std.Out, all, c.JSON)
	}
	logger := daemon.Logger(std.Err)
	return daemon.Service{Logger: logger, Run: func(ctx context.Context, ready func()) error {
		started := false
		for all, err := range d.Watch(ctx) {
			if !started {
				started = true
				ready()
			}
			if err != nil {
				logger.Warn("discovery", "error", err)
				continue
			}
			if err := printFound(std.Out, all, c.JSON); err != nil {
				return err
			}
		}
		return nil
	}}.Serve(ctx, c.Flags)
}

// dialer returns one for a prefix, and one that discovers for none.
func dialer(prefix nat64.Prefix) *nat64.Dialer {
	if !prefix.IsValid() {
		return new(nat64.Dialer)
	}
	return &nat64.Dialer{Table: nat64.TableOf(prefix)}
}

// Get is `nat64ctl get`.
type Get struct {
	URL    string       `arg:"" help:"What to fetch: http or https, by name or literal address."`
	Prefix nat64.Prefix `help:"NAT64 prefix. Default: what is discovered."`
	Public bool         `help:"Refuse addresses that are not public, seen through every embedding."`
}

// Run prints the body.
func (c *Get) Run(ctx context.Context, std cli.Streams) error {
	d := dialer(c.Prefix)
	if c.Public {
		d.Guard = new(nat64.Guard)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL, nil)
	if err != nil || !strings.HasPrefix(request.URL.Scheme, "http") {
		return &cli.UsageError{Err: fmt.Errorf("%q is not a http or https URL", c.URL)}
	}
	transport := &http.Transport{DialContext: d.DialContext, TLSHandshakeTimeout: 10 * time.Second}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(std.Out, response.Body); err != nil {
		return err
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s: %s", c.URL, response.Status)
	}
	return nil
}

// Check is `nat64ctl check`.
type Check struct {
	URL     string       `placeholder:"URL" help:"Something of 1 MiB or more on a host with IPv4 (http): tries the path and large packets."`
	Prefix  nat64.Prefix `help:"NAT64 prefix. Default: what is discovered."`
	Servers []string     `name:"server" placeholder:"ADDR" help:"The network's resolvers, with ports. Default: those of /etc/resolv.conf."`
	JSON    bool         `name:"json" help:"Print one JSON document."`
}

// Run prints what works; what does not makes it fail.
func (c *Check) Run(ctx context.Context, std cli.Streams) error {
	d := dialer(c.Prefix)
	d.Discoverer = &nat64.Discoverer{Servers: c.Servers}
	report := (&check.Checker{Dialer: d, URL: c.URL}).Check(ctx)
	if c.JSON {
		if err := json.NewEncoder(std.Out).Encode(report); err != nil {
			return err
		}
	} else {
		fmt.Fprint(std.Out, report)
	}
	if !report.OK() {
		return cli.ErrDifferent
	}
	return nil
}
