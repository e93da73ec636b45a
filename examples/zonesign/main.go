// Zonesign signs a zone file with DNSSEC.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/keystore"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/zonesign"
)

const description = `Signs a zone file with DNSSEC. Keys are made when there are none. The signed zone goes to stdout or to --out, the DS set for the parent to stderr. Signatures of the zone in --out are used again while they last.

Example: zonesign -o example.org --out example.org.signed --stats example.org.zone`

type grammar struct {
	cli.Flags
	Origin string `short:"o" required:"" placeholder:"NAME" help:"The zone's name."`
	File   string `arg:"" name:"zonefile" help:"The zone, - for standard input."`
	Out    string `placeholder:"FILE" help:"Write the signed zone there. Replaced when all went well, otherwise left as it is; - is stdout."`

	Keys       string `default:"keys" placeholder:"DIR" help:"Directory of the keys, in BIND's files (${default})."`
	Alg        uint8  `default:"13" placeholder:"13|15|14|8" enum:"13,15,14,8" help:"ECDSA P-256, Ed25519, ECDSA P-384, or RSA with SHA-256 (${default})."`
	CSK        bool   `name:"csk" help:"One key instead of KSK and ZSK."`
	Passphrase string `name:"passphrase-file" xor:"secret" placeholder:"FILE" help:"Private keys are sealed with the passphrase in the file, those in the clear too."`
	Key        string `name:"key-file" xor:"secret" placeholder:"FILE" help:"Private keys are sealed with the key of 32 octets in the file, those in the clear too."`

	NSEC3     bool   `name:"nsec3" help:"Deny with NSEC3 instead of NSEC."`
	OptOut    bool   `name:"opt-out" help:"NSEC3 without records for insecure delegations."`
	ZONEMD    bool   `name:"zonemd" help:"Add a digest of the zone."`
	CDS       bool   `name:"cds" help:"Add CDS and CDNSKEY records, which ask the parent for a DS record."`
	Serial    string `default:"keep" enum:"keep,increment,unixtime,date" placeholder:"keep|increment|unixtime|date" help:"Where the serial comes from (${default})."`
	Previous  string `placeholder:"FILE" help:"Use the signatures of this zone again instead of those of --out."`
	Inception string `placeholder:"T" help:"When signatures begin: YYYYMMDDHHMMSS, RFC 3339, or a duration from now (-1h). Those that begin at other times are made anew."`
	Expiry    string `placeholder:"T" help:"When signatures end (between 324h and 336h from now)."`

	Jobs   int    `placeholder:"N" help:"How many signatures are made at once (as many as there are cores)."`
	Stats  bool   `help:"Print figures to stderr."`
	JSON   bool   `name:"json" help:"Print the figures to stdout as one JSON document; needs --out."`
	Verify bool   `help:"Check the signed zone before it is written."`
	DryRun bool   `name:"dry-run" short:"n" help:"Print what would be done; exit with 3 if that is anything."`
	Serve  string `placeholder:"ADDR" help:"Then answer from the zone, over UDP and TCP, until SIGTERM."`
}

func main() {
	cli.Program{Name: "zonesign", Description: description, Grammar: &grammar{}}.Main()
}

func (g *grammar) Run(ctx context.Context, std cli.Streams) error {
	job, err := g.job(std)
	if err != nil {
		return &cli.UsageError{Err: err}
	}
	if g.DryRun {
		return plan(ctx, job, std)
	}
	outcome, err := job.Run(ctx)
	if err != nil {
		return err
	}
	if err := g.report(outcome, std); err != nil || g.Serve == "" {
		return err
	}
	log := slog.New(slog.NewTextHandler(std.Err, nil))
	return zonesign.Serve(ctx, g.Serve, outcome.Zone, log, func(address string) {
		log.Info("serving", "zone", job.Origin.String(), "address", address)
	})
}

// job turns the flags into a job.
func (g *grammar) job(std cli.Streams) (*zonesign.Job, error) {
	now := time.Now()
	origin, err := wire.ParseName(g.Origin)
	if err != nil {
		return nil, err
	}
	if g.Out == "-" || g.Out == "/dev/stdout" {
		g.Out = ""
	}
	if g.JSON && g.Out == "" {
		return nil, fmt.Errorf("--json needs --out: stdout is for the zone")
	}
	job := &zonesign.Job{
		Origin: origin, File: g.File, Stdin: os.Stdin, Out: g.Out, Previous: g.Previous, Now: now,
		Keys: keystore.Dir{Path: g.Keys}, Algorithm: dnssec.Algorithm(g.Alg), CSK: g.CSK, CDS: g.CDS, Verify: g.Verify,
		Warn: func(format string, args ...any) { fmt.Fprintf(std.Err, "zonesign: warning: "+format+"\n", args...) },
	}
	job.Signer = dnssec.Signer{Serial: serials[g.Serial], ZONEMD: g.ZONEMD, Workers: g.Jobs}
	if job.Signer.Inception, err = zonesign.ParseTime(g.Inception, now); err != nil {
		return nil, fmt.Errorf("--inception: %w", err)
	}
	if validity, err := time.ParseDuration(g.Expiry); err == nil && validity != 0 {
		job.Signer.Validity, job.Signer.Jitter = validity, -1
	} else if job.Signer.Expiry, err = zonesign.ParseTime(g.Expiry, now); err != nil {
		return nil, fmt.Errorf("--expiry: %w", err)
	}
	switch {
	case g.OptOut:
		job.Signer.Denial = dnssec.NSEC3OptOut
	case g.NSEC3:
		job.Signer.Denial = dnssec.NSEC3
	}
	job.Signer.Progress = zonesign.Bar(std.Err)
	switch {
	case g.Passphrase != "":
		job.Keys.Secret, err = keystore.PassphraseFile(g.Passphrase)
	case g.Key != "":
		job.Keys.Secret, err = keystore.KeyFile(g.Key)
	}
	return job, err
}

var serials = map[string]dnssec.SerialPolicy{
	"keep": dnssec.KeepSerial, "increment": dnssec.IncrementSerial, "unixtime": dnssec.UnixSerial, "date": dnssec.DateSerial,
}

func plan(ctx context.Context, job *zonesign.Job, std cli.Streams) error {
	steps, err := job.Plan(ctx)
	if err != nil || len(steps) == 0 {
		return err
	}
	fmt.Fprintln(std.Out, strings.Join(steps, "\n"))
	return cli.ErrDifferent
}

func (g *grammar) report(outcome *zonesign.Outcome, std cli.Streams) error {
	fmt.Fprint(std.Err, strings.Join(outcome.DS(), ""))
	if g.Stats {
		if err := outcome.Figures().WriteText(std.Err); err != nil {
			return err
		}
	}
	if g.JSON {
		return json.NewEncoder(std.Out).Encode(outcome.Figures())
	}
	if g.Out == "" {
		return zonesign.WriteZone(std.Out, outcome.Zone)
	}
	return nil
}
