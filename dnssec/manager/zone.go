package manager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/transfer"
	"github.com/berryrack/berryrack/dnssec/update"
	"github.com/berryrack/berryrack/dnssec/wire"
)

// Policy is how a zone is signed, and how its keys are rolled over.
type Policy struct {
	rollover.Policy
	// Denial is NSEC when zero.
	Denial dnssec.Denial
	// ZONEMD adds a digest of the zone (RFC 8976).
	ZONEMD bool
	// Serial is how the serial grows: IncrementSerial when zero.
	Serial dnssec.SerialPolicy
	// Validity, Refresh and Jitter are as in dnssec.Signer, with the defaults of BIND:
	// 14 days, 5 days and 12 hours; shares of Validity when that is shorter.
	Validity, Refresh, Jitter time.Duration
}

// times returns validity, refresh and jitter with their defaults.
func (p *Policy) times() (validity, refresh, jitter time.Duration) {
	validity = cmp.Or(p.Validity, 14*24*time.Hour)
	refresh = cmp.Or(p.Refresh, validity*5/14)
	jitter = max(0, cmp.Or(p.Jitter, min(12*time.Hour, validity/28)))
	return validity, refresh, jitter
}

// Zone is a zone to look after.
type Zone struct {
	// Origin is the name of its apex; required, and no other zone may have it.
	Origin wire.Name
	// File is its master file; or Primary the hidden primary that has it.
	File    string
	Primary *transfer.Client
	Policy  Policy
	// Transfer is the names of the TSIG keys that may transfer the signed zone, and
	// Update what TSIG keys may change.
	Transfer []string
	Update   []update.Grant
	// Secondaries, as host:port, are notified, and count: what one of them does not
	// serve yet is not published.
	Secondaries []string
	// Registrar lodges DS records, for Policy.Parent ByRegistrar. Nil lodges none.
	Registrar Registrar
}

// Check returns all that is wrong with the zone's configuration.
func (z *Zone) Check() error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("manager: zone %s: "+format, append([]any{z.Origin}, args...)...))
	}
	if z.Origin == "" {
		return errors.New("manager: a zone without origin")
	}
	if (z.File == "") == (z.Primary == nil) {
		wrong("name a file or a primary, one of them")
	}
	if z.Primary != nil && len(z.Update) > 0 {
		wrong("updates of a zone with a primary are for the primary: allow them there")
	}
	if z.Policy.Parent == rollover.ByRegistrar && z.Registrar == nil {
		wrong("its policy has a registrar lodge DS records, but there is none")
	}
	addresses := z.Secondaries
	if z.Primary != nil {
		addresses = append(addresses[:len(addresses):len(addresses)], z.Primary.Server)
	}
	for _, address := range addresses {
		if _, _, err := net.SplitHostPort(address); err != nil {
			wrong("%q is no address with a port, as in [2001:db8::53]:53", address)
		}
	}
	if validity, refresh, jitter := z.Policy.times(); refresh < 0 || refresh+jitter >= validity {
		wrong("signatures that last %v would be due at once: with a refresh of %v and a jitter of %v", validity, refresh, jitter)
	}
	return errors.Join(errs...)
}

// Parent is where the DS records of zones are seen.
type Parent interface {
	// DS returns the DS set of a zone at each of the parent's servers, those that do
	// not answer too, or an error when it cannot be told which servers these are.
	DS(ctx context.Context, origin wire.Name) ([]rollover.DSAnswer, error)
}

// Registrar has DS records lodged with the parent.
type Registrar interface {
	// Lodge makes the DS records of keys the DS set of the zone, whatever it was; no
	// keys delete it. It may be called again with the same keys, and returns when the
	// request is made: whether it is carried out is seen at the parent.
	Lodge(ctx context.Context, origin wire.Name, keys []dnssec.PublicKey) error
}

// Order is what an operator wants done to a zone.
type Order struct {
	// Signed enables, Unsigned disables.
	Signed   bool `json:",omitempty"`
	Unsigned bool `json:",omitempty"`
	// Algorithm, when set, takes the place of the policy's from now on.
	Algorithm dnssec.Algorithm `json:",omitempty"`
	// Events is for rollover.Step.
	Events []rollover.Event `json:",omitempty"`
}
