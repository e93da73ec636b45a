package acme

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// DefaultTTL is the TTL of a challenge record for which none is given.
const DefaultTTL = 60 * time.Second

// A Record is one TXT record. Names are absolute: lower case, with the dot at
// the end, in the form of IDNA's A-labels.
type Record struct {
	Zone  string        // the zone that the name is in: "example.org."
	Name  string        // the owner: "_acme-challenge.www.example.org."
	Value string        // at most 255 bytes
	TTL   time.Duration // in whole seconds; ignored when it is deleted
	// KeyAuthorization is what Value is the [Digest] of, when the client has told:
	// the providers of lego need it. Others ignore it.
	KeyAuthorization string
}

// A Provider changes the TXT records of zones. Its methods may be called by
// several goroutines and several processes at once; each change must be one
// that the server makes whole, never a list that is read, edited and written.
type Provider interface {
	// AppendTXT adds the record beside those that the name has. To add what is
	// there already is no error.
	AppendTXT(ctx context.Context, record Record) error
	// DeleteTXT removes the record with exactly this value, and leaves all
	// others of the name. That there is none is no error. The TTL is ignored.
	DeleteTXT(ctx context.Context, record Record) error
}

// A ZoneLister is a Provider that knows which zones it may change. The solver
// then gives it the longest of them that holds the name, instead of the zone
// that the DNS shows.
type ZoneLister interface {
	Zones(ctx context.Context) ([]string, error)
}

// A Verifier is a Provider that can tell whether the TXT records of a name are
// live at its servers. The solver waits for that before it asks them itself.
type Verifier interface {
	VerifyTXT(ctx context.Context, zone, name string) (bool, error)
}

// A RecordSetter is a Provider that can replace the addresses of a name:
// afterwards its A and AAAA records are those given, and other types are as
// they were. With no addresses it removes them.
type RecordSetter interface {
	SetAddresses(ctx context.Context, zone, name string, ttl time.Duration, addresses ...netip.Addr) error
}

// Errors that a caller may want to tell apart with [errors.Is].
var (
	// ErrNoZone: no zone that could be changed holds the name.
	ErrNoZone = errors.New("no such zone")
	// ErrDenied: the DNS host refuses the credentials, or they do not cover the name.
	ErrDenied = errors.New("permission denied")
	// ErrRateLimited: the DNS host asks for fewer requests.
	ErrRateLimited = errors.New("rate limited")
	// ErrCNAMELoop: the CNAME records of a challenge name lead in a circle, or too far.
	ErrCNAMELoop = errors.New("CNAME loop")
)

// An APIError is a DNS host's answer that it will not do what it was asked. It
// holds no secret. It matches ErrNoZone, ErrDenied or ErrRateLimited when Kind
// is that.
type APIError struct {
	Provider   string        // "rfc2136"
	Op         string        // what was asked: "add TXT _acme-challenge.example.org."
	Status     string        // the host's status: "403 Forbidden", "REFUSED"
	Message    string        // the host's words, or ""
	Advice     string        // what to do, or ""
	RetryAfter time.Duration // 0 when the host does not say
	Kind       error         // ErrNoZone, ErrDenied, ErrRateLimited or nil
}

func (e *APIError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: %s", e.Provider, e.Op, e.Status)
	if e.Message != "" {
		fmt.Fprintf(&b, " (%s)", e.Message)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, ", try again in %v", e.RetryAfter)
	}
	if e.Advice != "" {
		b.WriteString("; " + e.Advice)
	}
	return b.String()
}

// Unwrap returns the error's Kind.
func (e *APIError) Unwrap() error { return e.Kind }
