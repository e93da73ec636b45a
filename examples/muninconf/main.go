// Muninconf writes munin's configuration from an inventory, checks and compares
// it, and asks the nodes whether the master will be let in.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/berryrack/berryrack/examples/internal/muninconf"
	"github.com/berryrack/berryrack/munin/includedir"
)

type cli struct {
	File    string           `short:"f" placeholder:"FILE" help:"Inventory in YAML (default: /etc/berryrack/muninconf.yaml, or a built-in example)."`
	JSON    bool             `help:"Print JSON."`
	Version kong.VersionFlag `help:"Print the version."`

	Gen struct {
		Dir       string `short:"o" placeholder:"DIR" help:"Write one file for each top-level group into this includedir; without it, print all."`
		DryRun    bool   `short:"n" help:"Print the steps; exit 3 if there are any."`
		Prefix    string `placeholder:"NAME" default:"berryrack" help:"Begin the files' names with this."`
		MaxRemove int    `placeholder:"N" help:"How many hosts may leave at once (default: a tenth, or 4)."`
	} `cmd:"" help:"Write the master's configuration. Example: muninconf gen -f hosts.yaml -o /etc/munin/munin-conf.d"`
	Node struct {
		Master []netip.Addr `placeholder:"ADDR" sep:"," help:"An address that the master connects from; may be repeated (default: the inventory's masters)."`
		Merge  string       `placeholder:"FILE" help:"Print this munin-node.conf with the lines in it."`
	} `cmd:"" help:"Print a node's allow lines. Example: muninconf node --master 2001:db8::1 --merge /etc/munin/munin-node.conf"`
	Check struct {
		Path string `arg:"" help:"munin.conf, an includedir, or a munin-node.conf."`
	} `cmd:"" help:"Say what munin would refuse or misread; exit 3 if anything. Example: muninconf check /etc/munin/munin.conf"`
	Diff struct {
		Old string `arg:"" help:"munin.conf, an includedir, or an inventory (.yaml)."`
		New string `arg:"" help:"The same."`
	} `cmd:"" help:"Say what is different; exit 3 if anything. Example: muninconf diff /etc/munin/munin-conf.d hosts.yaml"`
	Probe struct {
		Parallel  int           `default:"128" help:"How many nodes to ask at once."`
		Processes int           `default:"16" help:"The master's max_processes, for the estimate."`
		Timeout   time.Duration `default:"10s" help:"For each answer."`
		Collect   bool          `help:"Fetch from every plugin, as the master does."`
	} `cmd:"" help:"Ask every node; exit 1 if the master could not collect from one. Example: muninconf probe -f hosts.yaml"`
	Serve struct {
		Munin    string        `default:"[::1]:4949" placeholder:"ADDR" help:"Where the munin node listens."`
		Metrics  string        `placeholder:"ADDR" help:"Serve Prometheus text at /metrics here."`
		Interval time.Duration `default:"5m" help:"From one round of probes to the next."`
	} `cmd:"" help:"Probe again and again, and show what was found as a munin node. Example: muninconf serve --munin [::]:4950"`
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit status: 0 done, 1 failed, 2 usage or configuration, 3
// differences found.
func run(args []string, stdout, stderr io.Writer) (status int) {
	var c cli
	exited := -1
	parser, err := kong.New(&c, kong.Name("muninconf"), kong.Description("Write, check and probe munin's configuration.\n\nExample: muninconf gen -f hosts.yaml -o /etc/munin/munin-conf.d"),
		kong.Vars{"version": version()}, kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }))
	if err != nil {
		fmt.Fprintln(stderr, "muninconf:", err)
		return 1
	}
	command, err := parser.Parse(args)
	if exited >= 0 {
		return exited // --help and --version
	}
	if err != nil {
		fmt.Fprintf(stderr, "muninconf: %v\nmuninconf --help shows the commands and flags.\n", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	p := &muninconf.Program{File: c.File, JSON: c.JSON, Stdout: stdout, Stderr: stderr}
	return exitStatus(c.run(ctx, command.Command(), p), stderr)
}

func (c *cli) run(ctx context.Context, command string, p *muninconf.Program) error {
	switch command {
	case "gen":
		return p.Gen(ctx, includedir.Dir{Path: c.Gen.Dir, Prefix: c.Gen.Prefix, MaxRemove: c.Gen.MaxRemove}, c.Gen.DryRun)
	case "node":
		return p.Node(c.Node.Master, c.Node.Merge)
	case "check <path>":
		return p.Check(c.Check.Path)
	case "diff <old> <new>":
		return p.Diff(c.Diff.Old, c.Diff.New)
	case "probe":
		return p.Probe(ctx, muninconf.ProbeOptions{Parallel: c.Probe.Parallel, Processes: c.Probe.Processes, Timeout: c.Probe.Timeout, Collect: c.Probe.Collect})
	}
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	s := muninconf.Service{Program: p, Munin: c.Serve.Munin, Metrics: c.Serve.Metrics, Interval: c.Serve.Interval, Logger: logger(), Reload: reload}
	return s.Run(ctx)
}

// logger writes text to a terminal and JSON to anything else.
func logger() *slog.Logger {
	info, err := os.Stderr.Stat()
	if err == nil && info.Mode()&os.ModeCharDevice != 0 {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.NewJSONHandler(os.Stderr, nil))
}

func exitStatus(err error, stderr io.Writer) int {
	var config muninconf.ConfigError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, muninconf.ErrDifferences):
		return 3
	}
	fmt.Fprintln(stderr, "muninconf:", err)
	if errors.As(err, &config) {
		return 2
	}
	return 1
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
