package update

import (
	"fmt"
	"slices"
	"strings"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
)

// Grant is what a TSIG key may change in a zone.
type Grant struct {
	// Key is the key's name.
	Key string
	// Types is the types of records; none is all of them.
	Types []wire.Type
	// Label is the first label that the names must have, such as _acme-challenge;
	// "" is any name.
	Label string
}

// ParseGrant reads a grant: the name of a key, then, when they are limited, types
// joined by commas, and a label.
//
//	acme. TXT _acme-challenge
func ParseGrant(text string) (Grant, error) {
	words := strings.Fields(text)
	if len(words) == 0 || len(words) > 3 {
		return Grant{}, fmt.Errorf("update: grant %q: want a key's name, and at most types and a label after it, as in \"acme. TXT _acme-challenge\"", text)
	}
	g := Grant{Key: words[0]}
	if len(words) > 1 {
		for word := range strings.SplitSeq(words[1], ",") {
			t, err := wire.ParseType(word)
			if err != nil {
				return Grant{}, fmt.Errorf("update: grant %q: %w", text, err)
			}
			g.Types = append(g.Types, t)
		}
	}
	if len(words) > 2 {
		g.Label = words[2]
		if name, err := wire.ParseName(g.Label); err != nil || name.Labels() != 1 {
			return Grant{}, fmt.Errorf("update: grant %q: %s is not one label", text, g.Label)
		}
	}
	return g, nil
}

// allows reports whether the grant covers a change that the key asks for.
func (g Grant) allows(key string, c change) bool {
	if dns.CanonicalName(g.Key) != dns.CanonicalName(key) {
		return false
	}
	if len(g.Types) > 0 && !slices.Contains(g.Types, c.t) {
		return false
	}
	if g.Label == "" {
		return true
	}
	label, err := wire.ParseName(g.Label)
	return err == nil && strings.HasPrefix(string(c.owner), strings.TrimSuffix(string(label), "\x00"))
}

// permit checks that every change is granted (RFC 2136 section 3.3).
func permit(changes []change, key string, grants []Grant) error {
	for _, c := range changes {
		if slices.Contains(signed, c.t) {
			return fail(dns.RcodeRefused, "%s %s: records of this type are the signer's to make", c.owner, c.t)
		}
		if !slices.ContainsFunc(grants, func(g Grant) bool { return g.allows(key, c) }) {
			return fail(dns.RcodeRefused, "key %s may not change %s %s", key, c.owner, c.t)
		}
	}
	return nil
}
