package zonesign

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/keystore"
)

// Plan says, as commands, what Run would do, which is nothing when the zone in Out
// is as it would be. It reads what Run reads.
func (j *Job) Plan(ctx context.Context) ([]string, error) {
	in, err := j.read()
	if err != nil {
		return nil, err
	}
	var steps []string
	for _, name := range in.unsealed {
		steps = append(steps, "# seal "+quote(filepath.Join(j.Keys.Path, name+".private"))) // for which there is no other command
	}
	if len(steps) == 0 {
		if err := j.keys(&Outcome{}, in, func(spec keystore.Spec, now time.Time) (keystore.Key, error) {
			steps = append(steps, j.generateSteps(spec)...)
			return keystore.Key{Origin: spec.Origin, Key: dnssec.Key{Use: spec.Use}}, nil
		}); err != nil {
			return nil, err
		}
	}
	if j.Out == "" {
		return steps, nil
	}
	if len(steps) == 0 {
		signer := j.Signer
		signer.Progress, signer.VerifyReused = nil, !in.intact
		result, err := signer.Sign(ctx, in.source, in.previous, j.Now)
		if err != nil || j.isWritten(in, result) {
			return nil, err
		}
	}
	return append(steps, j.signStep()), nil
}

// generateSteps is how to make a key.
func (j *Job) generateSteps(spec keystore.Spec) []string {
	var steps []string
	if _, err := os.Stat(j.Keys.Path); errors.Is(err, fs.ErrNotExist) && spec.Use&dnssec.SignKeys != 0 {
		steps = append(steps, "mkdir -p -m 0700 "+quote(j.Keys.Path))
	}
	words := []string{"dnssec-keygen", "-K", j.Keys.Path, "-a", spec.Algorithm.String()}
	if spec.Algorithm == dnssec.RSASHA256 {
		words = append(words, "-b", "2048")
	}
	if spec.Use&dnssec.SignKeys != 0 {
		words = append(words, "-f", "KSK")
	}
	return append(steps, command(append(words, spec.Origin.String())...))
}

// signStep is how BIND would sign the zone.
func (j *Job) signStep() string {
	words := []string{"dnssec-signzone", "-S", "-K", j.Keys.Path, "-o", j.Origin.String(), "-f", j.Out}
	if j.CSK {
		words = append(words, "-z")
	} else {
		words = append(words, "-x")
	}
	if j.Signer.Denial != dnssec.NSEC {
		words = append(words, "-3", "-")
	}
	if j.Signer.Denial == dnssec.NSEC3OptOut {
		words = append(words, "-A")
	}
	words = append(words, "-N", []string{"keep", "increment", "unixtime", "date"}[j.Signer.Serial])
	if !j.Signer.Inception.IsZero() {
		words = append(words, "-s", j.Signer.Inception.UTC().Format(timeLayout))
	}
	switch {
	case !j.Signer.Expiry.IsZero():
		words = append(words, "-e", j.Signer.Expiry.UTC().Format(timeLayout))
	case j.Signer.Validity != 0:
		words = append(words, "-e", fmt.Sprintf("now+%d", int(j.Signer.Validity.Seconds())))
	default:
		words = append(words, "-e", "now+1209600", "-j", "43200")
	}
	file := j.File
	if file == "-" {
		file = "/dev/stdin"
	}
	step := command(append(words, file)...)
	var more []string // that it does not make
	if j.Signer.ZONEMD {
		more = append(more, "ZONEMD")
	}
	if j.CDS {
		more = append(more, "CDS and CDNSKEY")
	}
	if len(more) > 0 {
		step += " # and " + strings.Join(more, ", ") + " records"
	}
	return step
}

// command joins words for a shell.
func command(words ...string) string {
	for i, word := range words {
		words[i] = quote(word)
	}
	return strings.Join(words, " ")
}

// quote quotes a word for a shell where that is needed.
func quote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_./:=@%+-,", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
