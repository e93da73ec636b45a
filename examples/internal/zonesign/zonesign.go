package zonesign

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/keystore"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
)

// Job is what to sign, and how.
type Job struct {
	Origin    wire.Name
	File      string // "-" is Stdin
	Stdin     io.Reader
	Out       string // "" is no file
	Previous  string // "" is what Out holds
	Keys      keystore.Dir
	Algorithm dnssec.Algorithm
	CSK       bool
	CDS       bool
	Verify    bool
	// Signer has all settings but the keys.
	Signer dnssec.Signer
	Now    time.Time
	// Warn is told what is odd.
	Warn func(format string, args ...any)
}

// Outcome is a signed zone, its keys, and what it took.
type Outcome struct {
	*dnssec.Result
	// Made is how many of the keys are new.
	Made int
	Keys []keystore.Key
	// Read, Sign and Write are how long the parts took.
	Read, Sign, Write time.Duration
}

// Run signs the zone. The file Out is replaced when all went well and it is not
// that zone already, and otherwise left as it is. The caller writes the zone when
// Out is empty.
func (j *Job) Run(ctx context.Context) (*Outcome, error) {
	begin := time.Now()
	in, err := j.read()
	if err := errors.Join(err, j.checkTimes(), j.checkOut()); err != nil {
		return nil, err
	}
	outcome := &Outcome{Read: time.Since(begin)}
	if err := j.seal(); err != nil {
		return nil, err
	}
	if err := j.keys(outcome, in.previous, j.Keys.Generate); err != nil {
		return nil, err
	}
	begin = time.Now()
	j.Signer.VerifyReused = !in.intact
	outcome.Result, err = j.Signer.Sign(ctx, in.source, in.previous, j.Now)
	if err != nil {
		return nil, err
	}
	outcome.Sign = time.Since(begin)
	for _, warning := range outcome.Warnings {
		j.Warn("%v", warning)
	}
	if err := j.verify(ctx, outcome.Zone); err != nil {
		return nil, err
	}
	begin = time.Now()
	if j.Out != "" && !j.isWritten(in, outcome.Result) {
		if err := writeFile(j.Out, outcome.Zone); err != nil {
			return nil, err
		}
	}
	outcome.Write = time.Since(begin)
	return outcome, nil
}

// isWritten reports whether Out holds the result.
func (j *Job) isWritten(in input, result *dnssec.Result) bool {
	return result.Unchanged && in.intact && j.Previous == ""
}

// seal seals the keys that are in the clear, when there is a secret to do so.
func (j *Job) seal() error {
	if j.Keys.Secret == nil {
		return nil
	}
	names, err := j.Keys.Unsealed(j.Origin)
	if err == nil && len(names) > 0 {
		err = j.Keys.Seal(j.Origin)
	}
	if err != nil {
		return err
	}
	for _, name := range names {
		j.Warn("%s was in the clear, and is sealed now: copies of it that a disk or a backup has are not", filepath.Join(j.Keys.Path, name+".private"))
	}
	return nil
}

// checkTimes finds what cannot be before keys are made.
func (j *Job) checkTimes() error {
	inception, expiry := j.Signer.Inception, j.Signer.Expiry
	if j.Signer.Validity != 0 {
		expiry = j.Now.Add(j.Signer.Validity)
	}
	switch {
	case !expiry.IsZero() && !expiry.After(j.Now):
		return fmt.Errorf("expiry %s has passed", expiry.UTC().Format(time.RFC3339))
	case !expiry.IsZero() && !expiry.After(inception):
		return fmt.Errorf("expiry %s is not after the inception %s", expiry.UTC().Format(time.RFC3339), inception.UTC().Format(time.RFC3339))
	}
	return nil
}

// input is what is read.
type input struct {
	source   *zone.Zone
	previous *zone.Zone // the signed one whose signatures are used again; nil when there is none
	intact   bool       // previous is as it was written
}

// read reads the zones.
func (j *Job) read() (input, error) {
	source, err := j.readZone(j.File)
	in := input{source: source}
	name := j.previousName()
	if name == "" || j.Previous == "" && (!isRegular(name) || isDescriptor(name)) {
		return in, err
	}
	previous, intact, oldErr := j.readPrevious(name)
	in.previous, in.intact = previous, intact
	var unread *fs.PathError
	switch {
	case oldErr == nil:
	case j.Previous != "":
		err = errors.Join(err, fmt.Errorf("previous zone: %w", oldErr))
	case errors.As(oldErr, &unread):
		err = errors.Join(err, fmt.Errorf("present zone: %w", oldErr))
	default:
		j.Warn("%s is not the zone %s: all signatures are made afresh", name, j.Origin)
	}
	return in, err
}

// previousName is the file of the zone as it was signed last.
func (j *Job) previousName() string { return cmp.Or(j.Previous, j.Out) }

func isRegular(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

func (j *Job) readPrevious(name string) (z *zone.Zone, intact bool, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, false, err
	}
	if isIntact(text) {
		z, _, err = zone.Parse(text, name, j.Origin)
		return z, true, err
	}
	z, _, err = zone.ReadFile(name, j.Origin) // it may include others
	return z, false, err
}

func (j *Job) readZone(name string) (z *zone.Zone, err error) {
	var warnings []*zone.Problem
	if name == "-" {
		text, err := io.ReadAll(j.Stdin)
		if err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
		z, warnings, err = zone.Parse(text, "-", j.Origin)
		j.warn(warnings)
		return z, err
	}
	z, warnings, err = zone.ReadFile(name, j.Origin)
	j.warn(warnings)
	return z, err
}

func (j *Job) warn(list []*zone.Problem) {
	for _, problem := range list {
		j.Warn("%v", problem)
	}
}

// verify checks the signed zone when that is asked for.
func (j *Job) verify(ctx context.Context, z *zone.Zone) error {
	if !j.Verify {
		return nil
	}
	findings, err := dnssec.Verify(ctx, z, j.Now)
	if err != nil {
		return err
	}
	for _, finding := range findings {
		err = errors.Join(err, errors.New(finding.String()))
	}
	if err != nil {
		return fmt.Errorf("the signed zone is not valid, and not written:\n%w", err)
	}
	return nil
}
