package mythicbeasts

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/berryrack/berryrack/acme"
)

func (p *Provider) append1(ctx context.Context, c Credential, r acme.Record) error {
	ttl := int(cmp.Or(r.TTL, acme.DefaultTTL) / time.Second)
	command := fmt.Sprintf("ADD %s %d TXT %s", host(r.Name, r.Zone), ttl, r.Value)
	_, err := p.command(ctx, c, r.Zone, command, "add TXT "+r.Name)
	return err
}

// delete1 looks for the record first: the API's DELETE wants its TTL as well.
func (p *Provider) delete1(ctx context.Context, c Credential, r acme.Record) error {
	op := "delete TXT " + r.Name
	listing, err := p.command(ctx, c, r.Zone, "LIST", op)
	if err != nil {
		return err
	}
	for line := range strings.Lines(listing) {
		if f := strings.Fields(line); len(f) == 4 && f[0] == host(r.Name, r.Zone) && f[2] == "TXT" && strings.Trim(f[3], `"`) == r.Value {
			if _, err := p.command(ctx, c, r.Zone, fmt.Sprintf("DELETE %s %s TXT %s", f[0], f[1], f[3]), op); err != nil {
				return err
			}
		}
	}
	return nil
}

// command sends one command. A success echoes it; a failure is "N", the command,
// a semicolon and the reason.
func (p *Provider) command(ctx context.Context, c Credential, zone, command, op string) (string, error) {
	form := url.Values{"domain": {strings.TrimSuffix(zone, ".")}, "password": {string(c.Secret)}, "command": {command}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, cmp.Or(p.EndpointV1, defaultEndpointV1), strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, data, err := p.do(request, op)
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(c.redact(string(data)))
	if response.StatusCode != http.StatusOK {
		return "", apiError(op, c, response, text)
	}
	verb, _, _ := strings.Cut(command, " ")
	for line := range strings.Lines(text) {
		_, reason, _ := strings.Cut(line, ";")
		reason = strings.TrimSpace(reason)
		switch {
		case !strings.HasPrefix(line, "N"+verb+" "), duplicate(reason):
		case verb == "DELETE" && absent(reason):
		default:
			return "", &acme.APIError{Provider: "mythicbeasts", Op: op, Status: "refused", Message: reason}
		}
	}
	return text, nil
}

// absent reports whether a reason says that the record to delete is not there:
// another hook was faster.
func absent(reason string) bool {
	r := strings.ToLower(reason)
	return strings.Contains(r, "no such") || strings.Contains(r, "not found") || strings.Contains(r, "no matching")
}
