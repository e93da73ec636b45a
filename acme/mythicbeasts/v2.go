package mythicbeasts

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/berryrack/berryrack/acme"
)

// records is what the API takes.
type records struct {
	Records []apiRecord `json:"records"`
}

type apiRecord struct {
	Host string `json:"host"`
	TTL  int    `json:"ttl"`
	Type string `json:"type"`
	Data string `json:"data"`
}

// reply is what it says, whatever was asked.
type reply struct {
	Zones   []string `json:"zones"`
	Message string   `json:"message"`
	Error   string   `json:"error"`
	Errors  []string `json:"errors"`
}

func (r reply) problem() string {
	return cmp.Or(r.Error, strings.Join(r.Errors, "; "), r.Message)
}

func (p *Provider) append2(ctx context.Context, c Credential, r acme.Record) error {
	h := host(r.Name, r.Zone)
	body := records{[]apiRecord{{h, int(cmp.Or(r.TTL, acme.DefaultTTL) / time.Second), "TXT", r.Value}}}
	err := p.call(ctx, c, http.MethodPost, path(r.Zone, h, "TXT"), nil, body, "add TXT "+r.Name, nil)
	var api *acme.APIError
	if errors.As(err, &api) && duplicate(api.Message) {
		return nil
	}
	return err
}

func (p *Provider) delete2(ctx context.Context, c Credential, r acme.Record) error {
	// Without the value it would remove all TXT records of the name.
	return p.call(ctx, c, http.MethodDelete, path(r.Zone, host(r.Name, r.Zone), "TXT"), url.Values{"data": {r.Value}}, nil, "delete TXT "+r.Name, nil)
}

func (p *Provider) zonesOf(ctx context.Context, c Credential) ([]string, error) {
	var r reply
	err := p.call(ctx, c, http.MethodGet, "/zones", nil, nil, "list zones", &r)
	return r.Zones, err
}

// verify2 asks whether the records of a name are live at all servers: then the
// status is 200. Statuses that mean something else are errors.
func (p *Provider) verify2(ctx context.Context, c Credential, zone, name string) (bool, error) {
	err := p.call(ctx, c, http.MethodGet, path(zone, host(name, zone), "TXT"), url.Values{"verify": {""}}, nil, "verify TXT "+name, nil)
	var api *acme.APIError
	if errors.As(err, &api) && api.Kind == nil && !strings.HasPrefix(api.Status, "5") {
		return false, nil
	}
	return err == nil, err
}

func (p *Provider) setAddresses2(ctx context.Context, c Credential, zone, name string, ttl time.Duration, addresses []netip.Addr) error {
	h := host(name, zone)
	byType := map[string][]apiRecord{}
	for _, addr := range addresses {
		kind := "AAAA"
		if addr = addr.Unmap(); addr.Is4() {
			kind = "A"
		}
		byType[kind] = append(byType[kind], apiRecord{h, int(ttl / time.Second), kind, addr.String()})
	}
	order := []string{"A", "AAAA"}
	if len(byType["AAAA"]) > len(byType["A"]) {
		order = []string{"AAAA", "A"}
	}
	for _, kind := range order {
		method, body := http.MethodPut, any(records{byType[kind]})
		if len(byType[kind]) == 0 {
			method, body = http.MethodDelete, nil
		}
		if err := p.call(ctx, c, method, path(zone, h, kind), nil, body, "set "+kind+" "+name, nil); err != nil {
			return err
		}
	}
	return nil
}

// path is that of the records of one name and type: a key that may change no
// more has access to no shorter one.
func path(zone, host, kind string) string {
	return "/zones/" + url.PathEscape(strings.TrimSuffix(zone, ".")) + "/records/" + url.PathEscape(host) + "/" + kind
}

// call makes one request, and reads the reply into out unless that is nil.
func (p *Provider) call(ctx context.Context, c Credential, method, path string, query url.Values, body any, op string, out *reply) error {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return err
		}
	}
	address := cmp.Or(p.Endpoint, defaultEndpoint) + path
	if len(query) > 0 {
		address += "?" + strings.TrimSuffix(query.Encode(), "=")
	}
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(content))
	if err != nil {
		return err
	}
	request.SetBasicAuth(c.KeyID, string(c.Secret))
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, data, err := p.do(request, op)
	if err != nil {
		return err
	}
	var r reply
	malformed := json.Unmarshal(data, &r)
	if response.StatusCode != http.StatusOK {
		return apiError(op, c, response, c.redact(r.problem()))
	}
	if out != nil {
		*out = r
		return malformed
	}
	return nil
}
