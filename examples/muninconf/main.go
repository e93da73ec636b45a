// Muninconf writes munin's configuration from an inventory, checks and compares
// it, and asks the nodes whether the master will be let in.
package main

import (
	"context"
	"math"
	"net/netip"
	"time"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/daemon"
	"github.com/berryrack/berryrack/examples/internal/muninconf"
	"github.com/berryrack/berryrack/munin/includedir"
)

const description = `Writes munin's configuration from an inventory, checks and compares it, and probes the nodes.

Example: muninconf gen -f hosts.yaml -o /etc/munin/munin-conf.d`

type grammar struct {
	cli.Flags
	Gen   genCmd   `cmd:"" help:"Write the master's configuration." example:"gen -f hosts.yaml -o /etc/munin/munin-conf.d"`
	Node  nodeCmd  `cmd:"" help:"Print a node's allow lines." example:"node --master 2001:db8::1 --merge /etc/munin/munin-node.conf"`
	Check checkCmd `cmd:"" help:"Say what munin would refuse or misread; exit 3 if anything." example:"check /etc/munin/munin.conf"`
	Diff  diffCmd  `cmd:"" help:"Say what is different; exit 3 if anything." example:"diff /etc/munin/munin-conf.d hosts.yaml"`
	Probe probeCmd `cmd:"" help:"Ask every node; exit 1 if the master could not collect from one." example:"probe -f hosts.yaml"`
	Serve serveCmd `cmd:"" help:"Probe again and again, and show what was found as a munin node." example:"serve --munin [::]:4950"`
}

func main() {
	cli.Program{Name: "muninconf", Description: description, Grammar: &grammar{}}.Main()
}

// source is the flag of every command that has an inventory.
type source struct {
	File string `short:"f" placeholder:"hosts.yaml" help:"The inventory. Without it: /etc/berryrack/muninconf.yaml or else (not for probe and serve) an embedded example."`
}

// output is the flag of every command that prints more than text.
type output struct {
	JSON bool `name:"json" help:"Print JSON."`
}

type genCmd struct {
	source
	output
	Dir       string `short:"o" placeholder:"DIR" help:"Write one file for each top-level group into this includedir; without it, print all."`
	DryRun    bool   `short:"n" help:"Print the steps; exit 3 if there are any."`
	Prefix    string `placeholder:"NAME" default:"berryrack" help:"Begin the files' names with this."`
	MaxRemove *uint  `placeholder:"N" help:"How many hosts may leave at once; 0 lets none (default: a tenth, or 4)."`
}

func (c *genCmd) Run(ctx context.Context, std cli.Streams) error {
	p := muninconf.Program{File: c.File, JSON: c.JSON, Streams: std}
	dir := includedir.Dir{Path: c.Dir, Prefix: c.Prefix}
	if c.MaxRemove != nil {
		dir.MaxRemove = int(min(*c.MaxRemove, math.MaxInt32))
	}
	if c.MaxRemove != nil && *c.MaxRemove == 0 {
		dir.MaxRemove = -1
	}
	return p.Gen(ctx, dir, c.DryRun)
}

type nodeCmd struct {
	source
	Master []netip.Addr `placeholder:"ADDR" help:"An address that the master connects from; may be repeated (default: the inventory's masters)."`
	Merge  string       `placeholder:"FILE" help:"Print this munin-node.conf with the lines in it."`
}

func (c *nodeCmd) Run(std cli.Streams) error {
	p := muninconf.Program{File: c.File, Streams: std}
	return p.Node(c.Master, c.Merge)
}

type checkCmd struct {
	output
	Path string `arg:"" help:"munin.conf, an includedir, or a munin-node.conf."`
}

func (c *checkCmd) Run(std cli.Streams) error {
	p := muninconf.Program{JSON: c.JSON, Streams: std}
	return p.Check(c.Path)
}

type diffCmd struct {
	output
	Old string `arg:"" help:"munin.conf, an includedir, or an inventory (.yaml)."`
	New string `arg:"" help:"The same."`
}

func (c *diffCmd) Run(std cli.Streams) error {
	p := muninconf.Program{JSON: c.JSON, Streams: std}
	return p.Diff(c.Old, c.New)
}

type probeCmd struct {
	source
	output
	Parallel  int           `default:"128" help:"How many nodes to ask at once."`
	Processes int           `default:"16" help:"The master's max_processes, for the estimate."`
	Timeout   time.Duration `default:"10s" help:"For each answer."`
	Collect   bool          `help:"Fetch from every plugin, as the master does."`
}

func (c *probeCmd) Run(ctx context.Context, std cli.Streams) error {
	p := muninconf.Program{File: c.File, JSON: c.JSON, Streams: std}
	return p.Probe(ctx, muninconf.ProbeOptions{Parallel: c.Parallel, Processes: c.Processes, Timeout: c.Timeout, Collect: c.Collect})
}

type serveCmd struct {
	source
	daemon.Flags
	Interval time.Duration `default:"5m" help:"From one round of probes to the next."`
}

func (c *serveCmd) Run(ctx context.Context, std cli.Streams) error {
	p := muninconf.Program{File: c.File, Streams: std}
	m := muninconf.Monitor{Program: &p, Interval: c.Interval, Logger: daemon.Logger(std.Err)}
	return m.Serve(ctx, c.Flags)
}
