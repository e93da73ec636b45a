package poectl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/alecthomas/kong"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/daemon"
)

// Source is the flags that say where a rack comes from. They may stand before
// or after a command.
type Source struct {
	File     string `short:"f" placeholder:"switch.yaml" help:"The switches and ports. Without it: /etc/berryrack/poectl.yaml or else a simulation."`
	State    string `placeholder:"DIR" default:"/var/lib/berryrack/poectl" help:"Where the journals are (${default})."`
	Simulate bool   `help:"Use a switch in this process, spoken to over SNMP on loopback."`
	Verbose  bool   `short:"v" help:"Tell each step on stderr."`
}

// AfterApply hands the flags to the command.
func (s *Source) AfterApply(c *kong.Context) error {
	c.Bind(s)
	return nil
}

// Open reads the configuration, or simulates.
func (s *Source) Open(ctx context.Context, std cli.Streams) (*Rack, error) {
	var logger *slog.Logger
	if s.Verbose {
		logger = daemon.Logger(std.Err)
	}
	var name string
	var data []byte
	if s.Simulate && s.File != "" {
		return nil, &cli.UsageError{Err: errors.New("--simulate has a configuration of its own: leave -f out")}
	}
	if !s.Simulate {
		var err error
		if name, data, err = cli.ConfigFile("poectl", s.File, nil); err != nil {
			return nil, err
		}
	}
	if data == nil && s.File == "" {
		fmt.Fprintln(std.Err, "poectl: a simulated switch with eight computers, spoken to over SNMP on loopback")
		return Simulate(ctx, std, logger)
	}
	config, err := Parse(name, data)
	if err != nil {
		return nil, &cli.UsageError{Err: err}
	}
	return &Rack{Config: config, State: s.State, File: name, Std: std, Logger: logger}, nil
}

// Do opens the rack, runs a command on it and closes it.
func (s *Source) Do(ctx context.Context, std cli.Streams, command func(*Rack) error) error {
	rack, err := s.Open(ctx, std)
	if err != nil {
		return err
	}
	defer rack.Close()
	return command(rack)
}
