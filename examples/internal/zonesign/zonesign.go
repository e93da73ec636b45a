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
	if err != nil {
		return nil, err
	}
	outcome := &Outcome{Read: time.Since(begin)}
	if err := j.seal(&in); err != nil {
		return nil, err
	}
	if err := j.keys(outcome, in, j.Keys.Generate); err != nil {
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
func (j *Job) seal(in *input) error {
	if len(in.unsealed) == 0 {
		return nil
	}
	if err := j.Keys.Seal(j.Origin); err != nil {
		return err
	}
	var err error
	if in.keys, err = j.Keys.Keys(j.Origin); err != nil {
		return err
	}
	for _, name := range in.unsealed {
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
	keys     []keystore.Key
	unsealed []string // keys that are in the clear but should not be
}

// read reads zones and keys, and finds all that is wrong with them, and with what
// is asked for, at once.
func (j *Job) read() (input, error) {
	in, err := j.readZones()
	err = errors.Join(err, j.checkTimes(), j.checkOut())
	var keyErr error
	if j.Keys.Secret != nil {
		in.unsealed, keyErr = j.Keys.Unsealed(j.Origin)
	}
	if keyErr == nil && len(in.unsealed) == 0 {
		in.keys, keyErr = j.Keys.Keys(j.Origin)
	}
	return in, errors.Join(err, keyErr)
}

func (j *Job) readZones() (input, error) {
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
