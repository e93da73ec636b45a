// Package secondary writes the configuration of secondary servers: of Knot DNS, NSD
// and BIND, which transfer signed zones by AXFR and IXFR with TSIG and serve them at
// scale.
//
//	text, err := secondary.Config{
//		Primary: netip.MustParseAddrPort("[2001:db8::53]:53"),
//		Keys:    []secondary.Key{{Name: "xfr.", Algorithm: "hmac-sha256", Secret: secret}},
//		Zones:   []secondary.Zone{{Origin: origin, Key: "xfr."}},
//	}.Knot()
//
// What is written is complete but for the server's own section: it belongs into
// /etc/knot/knot.conf, /etc/nsd/nsd.conf.d/ or /etc/bind/named.conf.local. It holds
// the secrets of the keys.
//
// It needs no privileges and no servers. RFCs: 1995, 1996, 5936, 8945.
//
// Until version 1 of the module, names here may change with notice in the
// changelog.
package secondary

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"

	"github.com/berryrack/berryrack/dnssec/wire"
)

// algorithms is those of TSIG keys that all three servers know (RFC 8945 section 6).
var algorithms = []string{"hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"}

// Key is a TSIG key. It prints without its secret.
type Key struct {
	// Name is a domain name (RFC 8945 section 4.2), the same one at the primary.
	Name string
	// Algorithm is hmac-sha256 when empty.
	Algorithm string
	// Secret is in base64.
	Secret string
}

// String returns the key's name.
func (k Key) String() string { return k.Name }

// GoString keeps the secret out of %#v.
func (k Key) GoString() string { return k.String() }

// LogValue keeps the secret out of logs.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

func (k Key) algorithm() string { return cmp.Or(k.Algorithm, "hmac-sha256") }

// Zone is a zone that a secondary is to have.
type Zone struct {
	// Origin is the name of its apex; NSD and BIND name the zone's file after it, too.
	Origin wire.Name
	// Key is the name of the key that it is transferred with, letter for letter as in
	// Config.Keys.
	Key string
}

// Config is what a secondary needs to know.
type Config struct {
	// Primary is the primary server, as the secondary reaches it.
	Primary netip.AddrPort
	// Keys is all that are written, also those that no zone has.
	Keys []Key
	// Zones is what it transfers from Primary, each with one of Keys.
	Zones []Zone
}

// check returns all that is wrong with the configuration.
func (c Config) check() error {
	var errs []error
	if !c.Primary.IsValid() || c.Primary.Addr().IsUnspecified() || c.Primary.Port() == 0 {
		errs = append(errs, fmt.Errorf("secondary: the primary's address %s is none that a secondary can reach: name one, with its port", c.Primary))
	}
	for _, key := range c.Keys {
		if _, err := wire.ParseName(key.Name); err != nil {
			errs = append(errs, fmt.Errorf("secondary: TSIG key %q: %w", key.Name, err))
		}
		if !slices.Contains(algorithms, key.algorithm()) {
			errs = append(errs, fmt.Errorf("secondary: TSIG key %s: algorithm %q is none of %s", key.Name, key.Algorithm, strings.Join(algorithms, ", ")))
		}
		if secret, err := base64.StdEncoding.DecodeString(key.Secret); err != nil || len(secret) == 0 {
			errs = append(errs, fmt.Errorf("secondary: TSIG key %s: its secret is not base64", key.Name))
		}
	}
	for _, z := range c.Zones {
		if !slices.ContainsFunc(c.Keys, func(k Key) bool { return k.Name == z.Key }) {
			errs = append(errs, fmt.Errorf("secondary: zone %s: no TSIG key %q that it may be transferred with", z.Origin, z.Key))
		}
	}
	return errors.Join(errs...)
}

// quoted writes text in quotes as the three servers read it. Neither names in
// presentation form nor base64 have line feeds.
func quoted(text string) string {
	return `"` + strings.ReplaceAll(strings.ReplaceAll(text, `\`, `\\`), `"`, `\"`) + `"`
}

func bare(origin wire.Name) string {
	if origin == wire.Root {
		return "."
	}
	return strings.TrimSuffix(origin.String(), ".")
}

// fileName is a zone's name where a slash, a percent sign or a backslash would not do.
func fileName(origin wire.Name) string {
	return strings.NewReplacer("/", "%2F", "%", "%25", `\`, "%5C", `"`, "%22").Replace(bare(origin))
}

// Knot writes for Knot DNS 3.
func (c Config) Knot() (string, error) {
	if err := c.check(); err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("key:\n")
	for _, k := range c.Keys {
		fmt.Fprintf(&b, "  - id: %s\n    algorithm: %s\n    secret: %s\n", quoted(k.Name), k.algorithm(), k.Secret)
	}
	b.WriteString("\nremote:\n")
	for _, k := range c.Keys {
		fmt.Fprintf(&b, "  - id: %s\n    address: %s@%d\n    key: %s\n", quoted("primary-"+k.Name), c.Primary.Addr(), c.Primary.Port(), quoted(k.Name))
	}
	fmt.Fprintf(&b, "\nacl:\n  - id: primary-notifies\n    address: %s\n    action: notify\n", c.Primary.Addr())
	b.WriteString("\nzone:\n")
	for _, z := range c.Zones {
		fmt.Fprintf(&b, "  - domain: %s\n    master: %s\n    acl: primary-notifies\n", quoted(z.Origin.String()), quoted("primary-"+z.Key))
	}
	return b.String(), nil
}

// NSD writes for NSD 4.
func (c Config) NSD() (string, error) {
	if err := c.check(); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, k := range c.Keys {
		fmt.Fprintf(&b, "key:\n\tname: %s\n\talgorithm: %s\n\tsecret: %s\n\n", quoted(k.Name), k.algorithm(), quoted(k.Secret))
	}
	for _, z := range c.Zones {
		fmt.Fprintf(&b, "zone:\n\tname: %s\n\tzonefile: %s\n", quoted(bare(z.Origin)), quoted(fileName(z.Origin)+".zone"))
		fmt.Fprintf(&b, "\tallow-notify: %s NOKEY\n\trequest-xfr: %s@%d %s\n\n", c.Primary.Addr(), c.Primary.Addr(), c.Primary.Port(), quoted(z.Key))
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// BIND writes for BIND 9.18.
func (c Config) BIND() (string, error) {
	if err := c.check(); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, k := range c.Keys {
		fmt.Fprintf(&b, "key %s { algorithm %s; secret %s; };\n", quoted(k.Name), k.algorithm(), quoted(k.Secret))
	}
	b.WriteString("\n")
	for _, z := range c.Zones {
		fmt.Fprintf(&b, "zone %s {\n\ttype secondary;\n\tfile %s;\n", quoted(bare(z.Origin)), quoted(fileName(z.Origin)+".zone"))
		fmt.Fprintf(&b, "\tprimaries { %s port %d key %s; };\n\tallow-notify { %s; };\n};\n", c.Primary.Addr(), c.Primary.Port(), quoted(z.Key), c.Primary.Addr())
	}
	return b.String(), nil
}
