// Pirack plans a rack of network-booted Raspberry Pis and writes every file
// that its fileserver, its switch and each Pi need.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/rack"
)

const description = `Plans a rack of network-booted Raspberry Pis, and writes and installs what it needs.

Example: pirack write -f rack.yaml -o rack && pirack install -f rack.yaml -o rack`

type grammar struct {
	cli.Flags
	Plan    planCmd    `cmd:"" help:"Print the rack: networks, VLANs, exports, ports, and what to look out for."`
	Write   writeCmd   `cmd:"" help:"Write every file of the rack below a directory."`
	Install installCmd `cmd:"" help:"On the fileserver: copy its files into place and make them take effect."`
	Check   checkCmd   `cmd:"" help:"On the fileserver: see whether files and filesystems are as planned."`
}

func main() {
	cli.Program{Name: "pirack", Description: description, Grammar: &grammar{}}.Main()
}

// source is the flag of every command.
type source struct {
	File string `short:"f" placeholder:"rack.yaml" help:"The rack. Without it: /etc/berryrack/pirack.yaml or else the embedded rack of eight Pis."`
}

// rack reads the rack, and says so when it is the embedded one.
func (s source) rack(std cli.Streams) (*rack.Rack, error) {
	name, data, err := cli.ConfigFile("pirack", s.File, rack.Story)
	if err != nil {
		return nil, err
	}
	if s.File == "" {
		fmt.Fprintf(std.Err, "pirack: reading %s\n", name)
	}
	r, err := rack.Parse(name, data)
	if err != nil {
		return nil, &cli.UsageError{Err: err}
	}
	return r, nil
}

type planCmd struct {
	source
	JSON bool `name:"json" help:"Print one JSON document."`
}

func (c *planCmd) Run(std cli.Streams) error {
	r, err := c.rack(std)
	if err != nil {
		return err
	}
	summary := r.Summarise(rack.Device(""))
	if c.JSON {
		enc := json.NewEncoder(std.Out)
		enc.SetIndent("", "  ")
		return enc.Encode(summary)
	}
	warn(std.Err, summary.Warnings)
	return summary.WriteText(std.Out)
}

func warn(w io.Writer, warnings []string) {
	for _, text := range warnings {
		fmt.Fprintf(w, "pirack: warning: %s\n", text)
	}
}

type writeCmd struct {
	source
	Out    string `short:"o" required:"" placeholder:"DIR" help:"Where to. What an earlier write made there and the rack no longer has is removed."`
	DryRun bool   `short:"n" help:"Print what would be done; exit 3 if anything would be."`
}

func (c *writeCmd) Run(ctx context.Context, std cli.Streams) error {
	r, err := c.rack(std)
	if err != nil {
		return err
	}
	tree, err := r.Tree()
	if err != nil {
		return err
	}
	steps, err := tree.Diff(c.Out)
	if err != nil {
		return err
	}
	if c.DryRun {
		return dryRun(std.Out, steps)
	}
	warn(std.Err, r.Warnings(rack.Device("")))
	if err := tree.Write(ctx, c.Out, steps); err != nil {
		return err
	}
	for _, s := range steps {
		fmt.Fprintf(std.Out, "%-7s %s\n", s.Action, s.File.Path)
	}
	fmt.Fprintf(std.Err, "pirack: %d files, %d of them written or removed\n", len(tree), len(steps))
	return nil
}

// dryRun prints steps as commands.
func dryRun[S any](w io.Writer, steps []S) error {
	for _, s := range steps {
		fmt.Fprintln(w, s)
	}
	if len(steps) > 0 {
		return cli.ErrDifferent
	}
	return nil
}

type installCmd struct {
	source
	Out     string `short:"o" required:"" placeholder:"DIR" help:"Where write put the files."`
	DestDir string `name:"destdir" placeholder:"DIR" help:"Stands before every path of the server; then no command is run."`
	DryRun  bool   `short:"n" help:"Print what would be done; exit 3 if anything would be."`
}

func (c *installCmd) Run(ctx context.Context, std cli.Streams) error {
	r, err := c.rack(std)
	if err != nil {
		return err
	}
	in, err := r.Installation(c.Out, c.DestDir)
	if err != nil {
		return err
	}
	defer warn(std.Err, in.Notes)
	if c.DryRun {
		return dryRun(std.Out, in.Steps())
	}
	for _, s := range in.Steps() {
		fmt.Fprintln(std.Out, s)
	}
	return in.Apply(ctx)
}

type checkCmd struct {
	source
	DestDir string `name:"destdir" placeholder:"DIR" help:"Stands before every path of the server."`
}

func (c *checkCmd) Run(std cli.Streams) error {
	r, err := c.rack(std)
	if err != nil {
		return err
	}
	problems, err := r.Check(c.DestDir)
	if err != nil {
		return err
	}
	return dryRun(std.Out, problems)
}
