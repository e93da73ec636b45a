package legodns_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/go-acme/lego/v4/providers/dns/httpreq"
	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/acmetest"
	"github.com/berryrack/berryrack/acme/legodns"
)

// newProvider returns lego's own httpreq, whose requests change a simulated zone.
func newProvider(t *testing.T) (*legodns.Provider, *acmetest.Zone) {
	t.Setenv("LEGO_DISABLE_CNAME_SUPPORT", "true") // or it asks this machine's resolvers
	n := acmetest.NewInternet(t)
	n.Zone("org.")
	zone := n.Zone("example.org.")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ FQDN, Value string }
		err := json.NewDecoder(r.Body).Decode(&body)
		record := acme.Record{Zone: "example.org.", Name: body.FQDN, Value: body.Value}
		change := n.Provider().AppendTXT
		if r.URL.Path == "/cleanup" {
			change = n.Provider().DeleteTXT
		}
		if err != nil || change(r.Context(), record) != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(server.Close)
	config := httpreq.NewDefaultConfig()
	config.Endpoint, _ = url.Parse(server.URL)
	provider, err := httpreq.NewDNSProviderConfig(config)
	require.NoError(t, err)
	return &legodns.Provider{DNS: provider}, zone
}

func TestConformance(t *testing.T) {
	provider, zone := newProvider(t)
	acmetest.Provider(t, acmetest.Subject{Provider: provider, Zone: "example.org.", Lookup: zone.TXT})
}

func TestWhatLegoCannotDo(t *testing.T) {
	provider, _ := newProvider(t)
	record := acme.Record{Zone: "example.org.", Name: "_acme-challenge.example.org.", Value: "digest"}
	require.ErrorContains(t, provider.AppendTXT(t.Context(), record), "key authorization")
	record.Name = "elsewhere.example.org."
	require.ErrorContains(t, provider.AppendTXT(t.Context(), record), "begin with _acme-challenge.")
	record = acme.Record{Zone: "example.com.", Name: "_acme-challenge.example.com.", KeyAuthorization: "a.b", Value: acme.Digest("a.b")}
	require.ErrorContains(t, provider.AppendTXT(t.Context(), record), "legodns: append TXT _acme-challenge.example.com.")
}

// lost is a provider whose requests fail, with its token in their URL.
type lost struct{}

func (lost) Present(_, _, _ string) error {
	_, err := (&http.Client{Timeout: time.Nanosecond}).Get("https://api.example.net/update?token=password&txt=x")
	return err
}

func (l lost) CleanUp(domain, token, keyAuth string) error { return l.Present(domain, token, keyAuth) }

func TestErrorsTellNoSecret(t *testing.T) {
	provider := &legodns.Provider{DNS: lost{}}
	record := acme.Record{Zone: "example.org.", Name: "_acme-challenge.example.org.", KeyAuthorization: "a.b", Value: acme.Digest("a.b")}
	for _, err := range []error{provider.AppendTXT(t.Context(), record), provider.DeleteTXT(t.Context(), record)} {
		require.ErrorContains(t, err, `"https://api.example.net/update?...": `)
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, errors.Unwrap(err)), "password")
		require.ErrorAs(t, err, new(*url.Error))
	}
}
