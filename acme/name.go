package acme

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/idna"
)

// A Challenge is one dns-01 challenge: a TXT record that the authority will
// look for.
type Challenge struct {
	// Domain is what the certificate is for, with or without "*." and the dot at
	// the end, in Unicode or A-labels. The record belongs at the name
	// "_acme-challenge" below it, or where CNAME records lead from there.
	Domain string
	// Name, when not empty, is where to begin in place of "_acme-challenge" below
	// Domain, for clients that have followed CNAME records themselves.
	Name string
	// Value is the record's text. Empty: the [Digest] of KeyAuthorization.
	Value string
	// KeyAuthorization is what Value is made of. Only providers of lego need it.
	KeyAuthorization string
}

// value returns the record's text.
func (c Challenge) value() string {
	if c.Value == "" && c.KeyAuthorization != "" {
		return Digest(c.KeyAuthorization)
	}
	return c.Value
}

// Digest returns the value of the TXT record for a key authorization
// (RFC 8555 section 8.4).
func Digest(keyAuthorization string) string {
	sum := sha256.Sum256([]byte(keyAuthorization))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// isDigest reports whether a value has the form that Digest returns.
func isDigest(value string) bool {
	sum, err := base64.RawURLEncoding.Strict().DecodeString(value)
	return err == nil && len(sum) == sha256.Size && len(value) == 43
}

// labels converts a name's labels to A-labels and lower case. Unlike the
// profile for host names it allows the underscore.
var labels = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false))

// CanonicalName returns a domain name as records have it: absolute, in lower
// case and A-labels.
func CanonicalName(name string) (string, error) {
	ascii, err := labels.ToASCII(strings.TrimSuffix(name, "."))
	if err == nil { // some labels can be written as A-labels but not read again
		ascii, err = labels.ToASCII(ascii)
	}
	if err != nil {
		return "", fmt.Errorf("acme: name %q: %w", name, err)
	}
	if err := checkName(ascii); err != nil {
		return "", fmt.Errorf("acme: name %q: %w", name, err)
	}
	return ascii + ".", nil
}

// checkName checks the lengths of RFC 1035 section 2.3.4, and refuses what
// needs escapes in the text form.
func checkName(ascii string) error {
	if ascii == "" {
		return errors.New("empty")
	}
	if len(ascii) > 253 {
		return errors.New("longer than 253 bytes")
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if label == "" || len(label) > 63 {
			return errors.New("a label of no or more than 63 bytes")
		}
		for _, c := range []byte(label) {
			if !nameByte(c) {
				return fmt.Errorf("%q may not be in it", c)
			}
		}
	}
	return nil
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// owner returns the name where the record of a challenge belongs, CNAME
// records aside.
func (c Challenge) owner() (string, error) {
	if c.Name != "" {
		return CanonicalName(c.Name)
	}
	domain, err := CanonicalName(strings.TrimPrefix(c.Domain, "*."))
	if err != nil {
		return "", err
	}
	return CanonicalName("_acme-challenge." + domain)
}

// InZone reports whether an absolute name is that of the zone or below it.
func InZone(name, zone string) bool {
	return name == zone || strings.HasSuffix(name, "."+zone) || zone == "."
}

// LongestZone returns the one of zones that most closely encloses name, "" when
// none does. Names are compared as [CanonicalName] writes them.
func LongestZone(name string, zones []string) string {
	longest := ""
	for _, zone := range zones {
		if z, err := CanonicalName(zone); err == nil && InZone(name, z) && len(z) > len(longest) {
			longest = z
		}
	}
	return longest
}
