package mythicbeasts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/berryrack/berryrack/acme"
)

// maxLines is how many lines a configuration file may have.
const maxLines = 10_000

// A Credential gives access to zones.
type Credential struct {
	// Zone that it is for. May be empty with a KeyID: all zones of the key.
	Zone string
	// KeyID of version 2 of the API. Empty: version 1.
	KeyID string
	// Secret of the key, or the zone's password of version 1.
	Secret acme.Secret
}

// String returns zone and key.
func (c Credential) String() string {
	if c.KeyID == "" {
		return c.Zone + " (password)"
	}
	return strings.TrimSpace(c.Zone + " key " + c.KeyID)
}

// Format is for all verbs of package fmt: wrong ones print a pointer's fields
// without asking their methods.
func (c Credential) Format(f fmt.State, _ rune) { io.WriteString(f, c.String()) }

// redact takes the secret out of what a server says.
func (c Credential) redact(text string) string {
	if c.Secret == "" {
		return text
	}
	return strings.ReplaceAll(text, string(c.Secret), "...")
}

// ReadCredentials reads dnsapi.config.txt: on each line a zone and its password
// (version 1 of the API), or a zone, a key and its secret (version 2). Blank
// lines, and lines that begin with #, are skipped. The errors of all lines are
// returned at once, without what stands there.
func ReadCredentials(r io.Reader) ([]Credential, error) {
	var credentials []Credential
	err := lines(r, func(fields []string) error {
		if len(fields) != 2 && len(fields) != 3 {
			return fmt.Errorf("%d words; want a domain and its password, or a domain, a key and its secret", len(fields))
		}
		zone, err := acme.CanonicalName(fields[0])
		if err != nil {
			return errors.New("the first word is no domain name")
		}
		c := Credential{Zone: zone, Secret: acme.Secret(fields[len(fields)-1])}
		if len(fields) == 3 {
			c.KeyID = fields[1]
		}
		credentials = append(credentials, c)
		return nil
	})
	return credentials, err
}

// ReadAliases reads dnsapi.cname-map.txt: on each line a name, and the name where
// its challenge records go. Both are the names of records, with or without
// "_acme-challenge." in front; the result has it in front of the first, for
// [acme.Solver].Aliases.
func ReadAliases(r io.Reader) (map[string]string, error) {
	aliases := map[string]string{}
	err := lines(r, func(fields []string) error {
		if len(fields) != 2 {
			return fmt.Errorf("%d words; want a name and the name that its CNAME record points to", len(fields))
		}
		from, err := acme.CanonicalName(fields[0])
		to, err2 := acme.CanonicalName(fields[1])
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		if !strings.HasPrefix(from, "_acme-challenge.") {
			from = "_acme-challenge." + from
		}
		if _, twice := aliases[from]; twice {
			return fmt.Errorf("%s stands here twice", from)
		}
		aliases[from] = to
		return nil
	})
	return aliases, err
}

// lines calls do with the words of each line that has some.
func lines(r io.Reader, do func(fields []string) error) error {
	var errs []error
	scanner := bufio.NewScanner(r)
	for n := 1; scanner.Scan(); n++ {
		if n > maxLines {
			errs = append(errs, fmt.Errorf("more than %d lines", maxLines))
			break
		}
		fields := strings.Fields(scanner.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if err := do(fields); err != nil {
			errs = append(errs, fmt.Errorf("mythicbeasts: line %d: %w", n, err))
		}
	}
	return errors.Join(append(errs, scanner.Err())...)
}
