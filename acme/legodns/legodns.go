// Package legodns makes an acme.Provider of a DNS provider of go-acme/lego:
// there are over a hundred.
//
//	cloudflare, err := cloudflare.NewDNSProvider() // from lego/v4/providers/dns/cloudflare
//	solver := &acme.Solver{Provider: &legodns.Provider{DNS: cloudflare}}
//
// # Needs
//
// What the provider needs; see lego's documentation. Import the one that is
// used, not providers/dns, which compiles all of them.
//
// # Standards
//
// RFC 8555 section 8.4.
//
// # What it will not do
//
// lego's providers take a key authorization and not a value, so they work with
// acme/manager and lego itself but not with dehydrated or certbot, which do not
// tell it. They choose zone and name themselves: names must begin with
// "_acme-challenge.", and with CNAME records they look where lego looks. Some
// remember in memory what they have published, and can then not remove what
// another process left. Their requests do not end with the context, only with
// their own timeout. How well they keep the records of others is up to each:
// see that it passes acme/acmetest.
//
// # Stability
//
// The package is before version 1: names may change with a minor version.
package legodns

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"

	"github.com/go-acme/lego/v4/challenge"

	"github.com/berryrack/berryrack/acme"
)

// A Provider is one of lego's. Its calls are made one at a time, as many of
// them read a zone's records and write them back.
type Provider struct {
	DNS challenge.Provider // required

	mu sync.Mutex
}

// AppendTXT implements [acme.Provider].
func (p *Provider) AppendTXT(ctx context.Context, r acme.Record) error {
	return p.call(ctx, "append", r, p.DNS.Present)
}

// DeleteTXT implements [acme.Provider].
func (p *Provider) DeleteTXT(ctx context.Context, r acme.Record) error {
	return p.call(ctx, "delete", r, p.DNS.CleanUp)
}

func (p *Provider) call(ctx context.Context, verb string, r acme.Record, do func(domain, token, keyAuth string) error) error {
	domain, ok := strings.CutPrefix(strings.TrimSuffix(r.Name, "."), "_acme-challenge.")
	if !ok {
		return fmt.Errorf("legodns: %s: lego's providers change names that begin with _acme-challenge. alone: have the CNAME record point to one", r.Name)
	}
	if acme.Digest(r.KeyAuthorization) != r.Value {
		return fmt.Errorf("legodns: %s: lego's providers need the key authorization, which this client does not tell: use another provider, or certd", r.Name)
	}
	token, _, _ := strings.Cut(r.KeyAuthorization, ".")
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := do(domain, token, r.KeyAuthorization); err != nil {
		return fmt.Errorf("legodns: %s TXT %s: %w", verb, r.Name, providerError{err})
	}
	return nil
}

// query is that of a URL: some APIs want their token there, and net/http tells
// the whole URL of a request that fails.
var query = regexp.MustCompile(`(https?://[^\s"?]*)\?[^\s"]*`)

// providerError is an error of lego's without secrets.
type providerError struct{ err error }

func (e providerError) Error() string { return query.ReplaceAllString(e.err.Error(), "$1?...") }

// Format is for all verbs: some print a struct's fields without asking its methods.
func (e providerError) Format(f fmt.State, _ rune) { io.WriteString(f, e.Error()) }

func (e providerError) Unwrap() error { return e.err }
