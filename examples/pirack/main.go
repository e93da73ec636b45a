// Pirack plans a rack of network-booted Raspberry Pis and writes every file
// that its fileserver, its switch and each Pi need.
package main

import (
	"fmt"
	"io"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/rack"
)

const description = `Plans a rack of network-booted Raspberry Pis, and writes and installs what it needs.

Example: pirack write -f rack.yaml -o rack && pirack install -f rack.yaml -o rack`

type grammar struct {
	cli.Flags
	Plan    planCmd       `cmd:"" help:"Print the rack: networks, VLANs, exports, ports, and what to look out for." example:"plan -f rack.yaml"`
	Write   writeCmd      `cmd:"" help:"Write every file of the rack below a directory." example:"write -f rack.yaml -o rack"`
	Install installCmd    `cmd:"" help:"On the fileserver: copy its files into place and make them take effect." example:"install -f rack.yaml -o rack -n"`
	Check   checkCmd      `cmd:"" help:"On the fileserver: see whether files and filesystems are as planned." example:"check -f rack.yaml"`
	Apply   applyCmd      `cmd:"" help:"On the fileserver: make the VLAN interfaces of the running kernel as planned." example:"apply -f rack.yaml --watch"`
	Drift   driftCmd      `cmd:"" help:"Ask a switch by SNMP in what its VLANs are not as planned." example:"drift -f rack.yaml --switch sw1"`
	Cycle   cycleCmd      `cmd:"" help:"Power cycle a Pi through its switch, and wait until it answers." example:"cycle -f rack.yaml pi3"`
	Status  rackStatusCmd `cmd:"" help:"On the fileserver: say how each Pi is: power, VLAN, root, and whether it answers." example:"status -f rack.yaml"`
	Roots   rootsCmd      `cmd:"" help:"On the fileserver: make and keep the roots of the Pis."`
	boots
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
		return printJSON(std.Out, summary)
	}
	warn(std.Err, summary.Warnings)
	return summary.WriteText(std.Out)
}

func warn(w io.Writer, warnings []string) {
	for _, text := range warnings {
		fmt.Fprintf(w, "pirack: warning: %s\n", text)
	}
}
