// Certd gets certificates from an ACME certificate authority and keeps them.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"

	legolog "github.com/go-acme/lego/v4/log"

	"github.com/berryrack/berryrack/examples/internal/certd"
	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/daemon"
)

const description = `Gets certificates, and keeps them.

Example: certd get --agree-tos www.example.org '*.example.org'`

type grammar struct {
	cli.Flags
	Get    getCmd    `cmd:"" help:"Get a certificate for these names, unless there is one that is not due for renewal." example:"get --agree-tos www.example.org '*.example.org'"`
	Run    runCmd    `cmd:"" help:"Keep the certificates of the configuration, until stopped. SIGHUP reads it again." example:"run --out /srv/certificates"`
	Status statusCmd `cmd:"" help:"Show expiry, next renewal and why, and the last error of each certificate." example:"status"`
	Renew  renewCmd  `cmd:"" help:"Replace a certificate now." example:"renew www.example.org"`
	Revoke revokeCmd `cmd:"" help:"Have the authority declare a certificate invalid." example:"revoke --reason key-compromise www.example.org"`
}

func main() {
	legolog.Logger = log.New(io.Discard, "", 0) // it repeats what errors say
	cli.Program{Name: "certd", Description: description, Grammar: &grammar{}}.Main()
}

// common are the flags of every command.
type common struct {
	Config string `short:"f" placeholder:"FILE" help:"Configuration; else /etc/berryrack/certd.yaml, or the embedded responder alone."`
	State  string `placeholder:"DIR" help:"Directory of accounts and state; default /var/lib/berryrack/certd."`
	Out    string `placeholder:"DIR" help:"Directory of the certificates; default ${out}." `
}

func (c common) options(std cli.Streams) certd.Options {
	return certd.Options{Config: c.Config, State: c.State, Out: c.Out, Log: daemon.Logger(std.Err)}
}

type getCmd struct {
	common   `set:"out=certificates"`
	DryRun   bool     `short:"n" help:"Order at the staging authority, throw the result away, and print what would be done. Exits with 3 when there is something."`
	Staging  bool     `xor:"ca" help:"Use the staging authority of Let's Encrypt."`
	CA       string   `name:"ca" xor:"ca" placeholder:"URL" help:"Use the authority with this directory; default Let's Encrypt."`
	Simulate bool     `xor:"ca" help:"Use an authority and a DNS in this process: certificates for experiments."`
	AgreeTOS bool     `name:"agree-tos" help:"Agree to the authority's terms of service."`
	Email    string   `placeholder:"ADDRESS" help:"Contact of the account."`
	Profile  string   `placeholder:"NAME" help:"Profile of the authority's, such as shortlived."`
	Verbose  bool     `short:"v" help:"Tell each step, also when standard error is no terminal."`
	Names    []string `arg:"" help:"Names that the certificate is for."`
}

func (c *getCmd) Run(ctx context.Context, std cli.Streams) error {
	o := certd.Order{
		Options: c.options(std), Names: c.Names, DryRun: c.DryRun, Staging: c.Staging, CA: c.CA, Simulate: c.Simulate,
		Email: c.Email, AgreeTOS: c.AgreeTOS, Profile: c.Profile,
	}
	if !c.Verbose && !cli.IsTerminal(std.Err) {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return certd.Get(ctx, o, std)
}

type runCmd struct {
	common `set:"out=the state directory"`
	daemon.Flags
	DryRun bool `short:"n" help:"Print what would be done now. Exits with 3 when there is something."`
}

func (c *runCmd) Run(ctx context.Context, std cli.Streams) error {
	if c.DryRun {
		return certd.Due(c.options(std), std)
	}
	return certd.Run(ctx, c.options(std), c.Flags, std)
}

type statusCmd struct {
	common `set:"out=the state directory"`
	JSON   bool `name:"json" help:"Print one JSON document."`
}

func (c *statusCmd) Run(std cli.Streams) error { return certd.Status(c.options(std), c.JSON, std) }

type renewCmd struct {
	common `set:"out=the state directory"`
	DryRun bool   `short:"n" help:"Print what would be done. Exits with 3."`
	Name   string `arg:"" help:"First name of the certificate."`
}

func (c *renewCmd) Run(ctx context.Context, std cli.Streams) error {
	if c.DryRun {
		fmt.Fprintf(std.Out, "certd renew %s\n", c.Name)
		return cli.ErrDifferent
	}
	return certd.Renew(ctx, c.options(std), c.Name, std)
}

type revokeCmd struct {
	common `set:"out=the state directory"`
	Reason string `enum:"unspecified,key-compromise,superseded,cessation" default:"unspecified" help:"unspecified, key-compromise, superseded or cessation."`
	DryRun bool   `short:"n" help:"Print what would be done. Exits with 3."`
	Name   string `arg:"" help:"First name of the certificate."`
}

// reasons are numbered in RFC 5280 section 5.3.1.
var reasons = map[string]uint{"unspecified": 0, "key-compromise": 1, "superseded": 4, "cessation": 5}

func (c *revokeCmd) Run(ctx context.Context, std cli.Streams) error {
	if c.DryRun {
		fmt.Fprintf(std.Out, "certd revoke --reason %s %s\n", c.Reason, c.Name)
		return cli.ErrDifferent
	}
	return certd.Revoke(ctx, c.options(std), c.Name, reasons[c.Reason], std)
}
