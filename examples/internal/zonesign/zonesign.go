package zonesign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
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

// Run signs the zone. The file Out is replaced when all went well, and otherwise
// left as it is. The caller writes the zone when Out is empty.
func (j *Job) Run(ctx context.Context) (*Outcome, error) {
	begin := time.Now()
	source, previous, err := j.read()
	if err := errors.Join(err, j.checkTimes()); err != nil {
		return nil, err
	}
	outcome := &Outcome{Read: time.Since(begin)}
	if err := j.keys(outcome, j.Keys.Generate); err != nil {
		return nil, err
	}
	begin = time.Now()
	outcome.Result, err = j.Signer.Sign(ctx, source, previous, j.Now)
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
	if j.Out != "" {
		if err := writeFile(j.Out, outcome.Zone); err != nil {
			return nil, err
		}
	}
	outcome.Write = time.Since(begin)
	return outcome, nil
}

// checkTimes finds what cannot be before keys are made.
func (j *Job) checkTimes() error {
	inception, expiry := j.Signer.Inception, j.Signer.Expiry
	switch {
	case !expiry.IsZero() && !expiry.After(j.Now):
		return fmt.Errorf("expiry %s has passed", expiry.UTC().Format(time.RFC3339))
	case !expiry.IsZero() && !expiry.After(inception):
		return fmt.Errorf("expiry %s is not after the inception %s", expiry.UTC().Format(time.RFC3339), inception.UTC().Format(time.RFC3339))
	}
	return nil
}

// Plan says, as commands, what Run would do, having read what Run reads.
func (j *Job) Plan() ([]string, error) {
	_, _, err := j.read()
	if err := errors.Join(err, j.checkTimes()); err != nil {
		return nil, err
	}
	var steps []string
	generate := func(spec keystore.Spec, _ time.Time) (keystore.Key, error) {
		ksk := ""
		if spec.Use&dnssec.SignKeys != 0 {
			ksk = " -f KSK"
		}
		steps = append(steps, fmt.Sprintf("dnssec-keygen -K %s -a %s%s %s", j.Keys.Path, spec.Algorithm, ksk, spec.Origin))
		return keystore.Key{}, nil
	}
	if err := j.keys(&Outcome{}, generate); err != nil {
		return nil, err
	}
	if j.Out != "" {
		steps = append(steps, fmt.Sprintf("dnssec-signzone -S -K %s -o %s -f %s %s", j.Keys.Path, j.Origin, j.Out, j.File))
	}
	return steps, nil
}

// read reads the zone, and the signed one whose signatures are used again.
func (j *Job) read() (source, previous *zone.Zone, err error) {
	source, err = j.readZone(j.File)
	name := j.Previous
	if name == "" {
		name = j.Out
	}
	if name == "" {
		return source, nil, err
	}
	previous, _, oldErr := zone.ReadFile(name, j.Origin)
	switch {
	case oldErr == nil:
	case j.Previous != "":
		err = errors.Join(err, fmt.Errorf("previous zone: %w", oldErr))
	case !errors.Is(oldErr, fs.ErrNotExist):
		j.Warn("%s is not the zone %s: all signatures are made afresh", name, j.Origin)
	}
	return source, previous, err
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

// keys reads the keys, has those made that are missing, and gives them to the signer.
func (j *Job) keys(outcome *Outcome, generate func(keystore.Spec, time.Time) (keystore.Key, error)) error {
	present, err := j.Keys.Keys(j.Origin)
	if err != nil {
		return err
	}
	wanted := []dnssec.Use{dnssec.KSK, dnssec.ZSK}
	if j.CSK {
		wanted = []dnssec.Use{dnssec.CSK}
	}
	for _, key := range present {
		if key.Algorithm == j.Algorithm {
			outcome.Keys = append(outcome.Keys, key)
		}
	}
	if len(outcome.Keys) == 0 {
		for _, use := range wanted {
			key, err := generate(keystore.Spec{Origin: j.Origin, Algorithm: j.Algorithm, Use: use}, j.Now)
			if err != nil {
				return err
			}
			outcome.Keys = append(outcome.Keys, key)
			outcome.Made++
		}
	}
	j.Signer.Keys = nil
	for i := range outcome.Keys {
		key := &outcome.Keys[i].Key
		if j.CSK && key.Use&dnssec.SignKeys != 0 {
			key.Use |= dnssec.CSK
		}
		if j.CDS && key.Use&dnssec.SignKeys != 0 {
			key.Use |= dnssec.InParent
		}
		j.Signer.Keys = append(j.Signer.Keys, *key)
	}
	return nil
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

// DS returns the DS set as text: a record for each key that signs the keys.
func (o *Outcome) DS() []string {
	var lines []string
	for _, key := range o.Keys {
		if key.Use&dnssec.SignKeys != 0 {
			set := zone.RRset{Type: 43, TTL: 3600, Data: wire.RDATA(nil).Append(key.DS(key.Origin, dnssec.SHA256))}
			lines = append(lines, string(set.AppendText(nil, key.Origin)))
		}
	}
	slices.Sort(lines)
	return lines
}
