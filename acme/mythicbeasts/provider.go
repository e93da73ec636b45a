package mythicbeasts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/berryrack/berryrack/acme"
)

const (
	defaultEndpoint   = "https://api.mythic-beasts.com/dns/v2"
	defaultEndpointV1 = "https://dnsapi.mythic-beasts.com/"
	requestTimeout    = 30 * time.Second
	maxReply          = 1 << 20 // bytes
	maxRetryAfter     = time.Hour
)

// A Provider is an account, or several, at Mythic Beasts. It may be used by
// several goroutines at once.
type Provider struct {
	// Credentials; for a name, that of the longest zone which holds it is used.
	Credentials []Credential
	// Client makes the requests; nil is http.DefaultClient. Each may take half a
	// minute.
	Client *http.Client
	// Endpoint and EndpointV1 are the base addresses of the APIs, for tests; empty
	// are those of Mythic Beasts.
	Endpoint, EndpointV1 string
}

var (
	_ acme.Provider     = (*Provider)(nil)
	_ acme.ZoneLister   = (*Provider)(nil)
	_ acme.Verifier     = (*Provider)(nil)
	_ acme.RecordSetter = (*Provider)(nil)
)

// AppendTXT implements [acme.Provider].
func (p *Provider) AppendTXT(ctx context.Context, r acme.Record) error {
	return p.with(ctx, r, p.append2, p.append1)
}

// DeleteTXT implements [acme.Provider].
func (p *Provider) DeleteTXT(ctx context.Context, r acme.Record) error {
	return p.with(ctx, r, p.delete2, p.delete1)
}

// with makes a change by the version of the API that the credential is for.
func (p *Provider) with(ctx context.Context, r acme.Record, v2, v1 func(context.Context, Credential, acme.Record) error) error {
	c, err := p.credential(ctx, r.Zone)
	if err != nil {
		return err
	}
	if c.KeyID == "" {
		return v1(ctx, c, r)
	}
	return v2(ctx, c, r)
}

// Zones implements [acme.ZoneLister]: the zones of the credentials and, for keys
// without one, those that the API lists for them.
func (p *Provider) Zones(ctx context.Context) ([]string, error) {
	var zones []string
	for _, c := range p.Credentials {
		if c.Zone != "" {
			zones = append(zones, c.Zone)
			continue
		}
		of, err := p.zonesOf(ctx, c)
		if err != nil {
			return nil, err
		}
		zones = append(zones, of...)
	}
	return zones, nil
}

// VerifyTXT implements [acme.Verifier]. Version 1 of the API does not tell, which
// is an error.
func (p *Provider) VerifyTXT(ctx context.Context, zone, name string) (bool, error) {
	c, err := p.credential(ctx, zone)
	if err != nil {
		return false, err
	}
	if c.KeyID == "" {
		return false, errors.New("mythicbeasts: version 1 of the API does not say what is live")
	}
	return p.verify2(ctx, c, zone, name)
}

// SetAddresses implements [acme.RecordSetter]: A and AAAA records are replaced
// one type after the other, first the one that there will be more of.
func (p *Provider) SetAddresses(ctx context.Context, zone, name string, ttl time.Duration, addresses ...netip.Addr) error {
	c, err := p.credential(ctx, zone)
	if err != nil {
		return err
	}
	if c.KeyID == "" {
		return fmt.Errorf("mythicbeasts: %s has a password of version 1 of the API; addresses are replaced with version 2: make a key", zone)
	}
	return p.setAddresses2(ctx, c, zone, name, ttl, addresses)
}

// credential returns the one for a zone: of all that hold it the longest, else a
// key for all zones.
func (p *Provider) credential(ctx context.Context, zone string) (Credential, error) {
	var named []string
	for _, c := range p.Credentials {
		if c.Zone != "" {
			named = append(named, c.Zone)
		}
	}
	if best := acme.LongestZone(zone, named); best != "" {
		return p.Credentials[slices.IndexFunc(p.Credentials, func(c Credential) bool {
			name, _ := acme.CanonicalName(c.Zone)
			return c.Zone != "" && name == best
		})], nil
	}
	keys := slices.DeleteFunc(slices.Clone(p.Credentials), func(c Credential) bool { return c.Zone != "" || c.KeyID == "" })
	if len(keys) == 1 {
		return keys[0], nil // the API will say whether it is the right one
	}
	for _, c := range keys {
		zones, err := p.zonesOf(ctx, c)
		if err != nil {
			return Credential{}, err
		}
		if acme.LongestZone(zone, zones) != "" {
			return c, nil
		}
	}
	return Credential{}, fmt.Errorf("mythicbeasts: %w: no credential for %s: add a line or a key for it", acme.ErrNoZone, zone)
}

// do makes one request and returns status and body; the error is one of
// transport and never holds the request.
func (p *Provider) do(request *http.Request, op string) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(request.Context(), requestTimeout)
	defer cancel()
	response, err := cmp.Or(p.Client, http.DefaultClient).Do(request.WithContext(ctx))
	if err != nil {
		return nil, nil, fmt.Errorf("mythicbeasts: %s: %w", op, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxReply+1))
	if err == nil && len(body) > maxReply {
		err = fmt.Errorf("a reply of more than %d bytes", maxReply)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("mythicbeasts: %s: %w", op, err)
	}
	return response, body, nil
}

// apiError makes an error of a reply that is none of success.
func apiError(op string, c Credential, response *http.Response, message string) error {
	e := &acme.APIError{Provider: "mythicbeasts", Op: op, Status: response.Status, Message: message}
	switch response.StatusCode {
	case http.StatusUnauthorized:
		e.Kind, e.Advice = acme.ErrDenied, "the credential of "+c.String()+" is not accepted: copy it again, or make a new one in the control panel"
	case http.StatusForbidden:
		e.Kind, e.Advice = acme.ErrDenied, "give the credential of "+c.String()+" permission for this name and type in the control panel"
	case http.StatusNotFound:
		e.Kind, e.Advice = acme.ErrNoZone, "the zone is not in the account that "+c.String()+" is of"
	case http.StatusTooManyRequests:
		e.Kind = acme.ErrRateLimited
		if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds >= 0 {
			e.RetryAfter = min(time.Duration(seconds)*time.Second, maxRetryAfter)
		}
	}
	return e
}

// host returns a name within a zone as the API has it: "@" is the apex.
func host(name, zone string) string {
	if name == zone {
		return "@"
	}
	return strings.TrimSuffix(name, "."+zone)
}

// duplicate reports whether an error says that the record is there already.
func duplicate(message string) bool {
	m := strings.ToLower(message)
	return strings.Contains(m, "identical record") || strings.Contains(m, "already exists") || strings.Contains(m, "duplicate record")
}
