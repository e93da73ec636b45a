package mythicbeasts_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/acmetest"
	"github.com/berryrack/berryrack/acme/mythicbeasts"
)

var key = mythicbeasts.Credential{KeyID: keyID, Secret: keySecret}

// slow is how late the API publishes in these tests; in life it is up to a minute.
const slow = 60 * time.Millisecond

func TestConformance(t *testing.T) {
	for version, credential := range map[string]mythicbeasts.Credential{
		"v2": key,
		"v1": {Zone: "example.org", Secret: password},
	} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			a, server := newAPI(t, "example.org.", "sub.example.org.")
			z := a.zones["example.org."]
			z.Delay = slow
			acmetest.Provider(t, acmetest.Subject{
				Provider: &mythicbeasts.Provider{Credentials: []mythicbeasts.Credential{credential}, Endpoint: server.URL + "/v2", EndpointV1: server.URL + "/v1"},
				Zone:     "example.org.",
				Lookup:   z.Served,
				Foreign: func(name, value string) {
					a.internet.Provider().AppendTXT(t.Context(), acme.Record{Zone: "example.org.", Name: name, Value: value})
				},
			})
		})
	}
}

// A client with two addresses: a token would be refused from the other one.
func TestClientWithTwoAddresses(t *testing.T) {
	_, server := newAPI(t, "example.org.")
	var calls atomic.Int64
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+calls.Add(1)%2))}}
		return d.DialContext(ctx, network, address)
	}}}
	p := &mythicbeasts.Provider{Credentials: []mythicbeasts.Credential{key}, Client: client, Endpoint: server.URL + "/v2"}
	record := acme.Record{Zone: "example.org.", Name: "_acme-challenge.example.org.", Value: "v"}
	for range 3 {
		require.NoError(t, p.AppendTXT(t.Context(), record))
		require.NoError(t, p.DeleteTXT(t.Context(), record))
	}
	require.EqualValues(t, 6, calls.Load())
}

// The whole way: zones by the API, rate limits, the API's own word that a record
// is live, then the servers'. A key restricted to one name and type is enough.
func TestSolver(t *testing.T) {
	a, server := newAPI(t, "example.org.", "sub.example.org.")
	a.zones["sub.example.org."].Delay = slow
	a.limited, a.restrict = 3, "_acme-challenge.www.sub.example.org."
	p := &mythicbeasts.Provider{Credentials: []mythicbeasts.Credential{{Zone: "sub.example.org", KeyID: keyID, Secret: keySecret}}, Endpoint: server.URL + "/v2"}
	solver := &acme.Solver{Provider: quick{p}, Checker: a.internet.Checker()}
	challenge := acme.Challenge{Domain: "www.sub.example.org", Value: acme.Digest("x")}
	require.NoError(t, solver.Publish(t.Context(), challenge))
	require.NoError(t, solver.Withdraw(t.Context(), challenge))
	require.Empty(t, a.zones["sub.example.org."].TXT(a.restrict))
	for _, request := range a.requests {
		require.Contains(t, request, "/v2/zones/sub.example.org/records/_acme-challenge.www/TXT")
	}
	require.Contains(t, strings.Join(a.requests, "\n"), "GET /v2/zones/sub.example.org/records/_acme-challenge.www/TXT?verify\n")
}

// quick asks again at once when the rate limit says nothing of when.
type quick struct{ *mythicbeasts.Provider }

func (q quick) AppendTXT(ctx context.Context, r acme.Record) error {
	err := q.Provider.AppendTXT(ctx, r)
	if api, ok := err.(*acme.APIError); ok && api.Kind == acme.ErrRateLimited {
		api.RetryAfter = time.Millisecond
	}
	return err
}

func TestErrors(t *testing.T) {
	a, server := newAPI(t, "example.org.")
	with := func(c ...mythicbeasts.Credential) *mythicbeasts.Provider {
		return &mythicbeasts.Provider{Credentials: c, Endpoint: server.URL + "/v2", EndpointV1: server.URL + "/v1"}
	}
	record := acme.Record{Zone: "example.org.", Name: "_acme-challenge.example.org.", Value: "v"}
	elsewhere := acme.Record{Zone: "example.com.", Name: "_acme-challenge.example.com.", Value: "v"}
	for _, tt := range []struct {
		name     string
		provider *mythicbeasts.Provider
		record   acme.Record
		kind     error
		says     string
	}{
		{"wrong key", with(mythicbeasts.Credential{KeyID: keyID, Secret: "wr0ng"}), record, acme.ErrDenied, "copy it again"},
		{"wrong password", with(mythicbeasts.Credential{Zone: "example.org", Secret: "wr0ng"}), record, acme.ErrDenied, "copy it again"},
		{"zone of another", with(key), elsewhere, acme.ErrNoZone, "not in the account"},
		{"no credential", with(mythicbeasts.Credential{Zone: "ample.org", Secret: password}), record, acme.ErrNoZone, "add a line"},
		{"refused by v1", with(mythicbeasts.Credential{Zone: "example.org", Secret: password}),
			acme.Record{Zone: "example.org.", Name: "forbidden.example.org.", Value: "v"}, nil, "Host name is not allowed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.provider.AppendTXT(t.Context(), tt.record)
			require.ErrorContains(t, err, tt.says)
			if tt.kind != nil {
				require.ErrorIs(t, err, tt.kind)
			}
			require.NotContains(t, err.Error(), "wr0ng")
			require.NotContains(t, err.Error(), password)
		})
	}
	a.restrict = "other.example.org."
	require.ErrorIs(t, with(key).AppendTXT(t.Context(), record), acme.ErrDenied)
	a.restrict, a.limited = "", 1
	require.ErrorIs(t, with(key).AppendTXT(t.Context(), record), acme.ErrRateLimited)
	server.Close()
	require.Error(t, with(key).AppendTXT(t.Context(), record))
}

func TestReplyTooLong(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 1<<20+1)) }))
	defer server.Close()
	p := &mythicbeasts.Provider{Credentials: []mythicbeasts.Credential{key}, Endpoint: server.URL}
	_, err := p.Zones(t.Context())
	require.ErrorContains(t, err, "more than 1048576 bytes")
	_, err = mythicbeasts.ReadCredentials(strings.NewReader(strings.Repeat("\n", 10_001)))
	require.ErrorContains(t, err, "more than 10000 lines")
}

func TestZones(t *testing.T) {
	_, server := newAPI(t, "example.org.", "sub.example.org.")
	p := &mythicbeasts.Provider{Credentials: []mythicbeasts.Credential{key, {Zone: "example.net", Secret: password}}, Endpoint: server.URL + "/v2"}
	zones, err := p.Zones(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"example.org", "sub.example.org", "example.net"}, zones)
}

func TestSetAddresses(t *testing.T) {
	var got []string
	server := newRecorder(t, &got)
	p := &mythicbeasts.Provider{Credentials: []mythicbeasts.Credential{key}, Endpoint: server}
	require.NoError(t, p.SetAddresses(t.Context(), "example.org.", "www.example.org.", time.Minute, netip.MustParseAddr("2001:db8::1")))
	require.Equal(t, []string{
		`PUT /zones/example.org/records/www/AAAA {"records":[{"host":"www","ttl":60,"type":"AAAA","data":"2001:db8::1"}]}`,
		`DELETE /zones/example.org/records/www/A `,
	}, got)
}

func TestReadCredentials(t *testing.T) {
	got, err := mythicbeasts.ReadCredentials(strings.NewReader("example.org pass\n\n# comment\n example.net  id\tsecret \n"))
	require.NoError(t, err)
	require.Equal(t, []mythicbeasts.Credential{{Zone: "example.org.", Secret: "pass"}, {Zone: "example.net.", KeyID: "id", Secret: "secret"}}, got)
	_, err = mythicbeasts.ReadCredentials(strings.NewReader("example.org\nexample.org a b s3cr3t\n..  s3cr3t\n"))
	for _, line := range []string{"line 1", "line 2", "line 3"} {
		require.ErrorContains(t, err, line)
	}
	require.NotContains(t, err.Error(), "s3cr3t")
}

func TestReadAliases(t *testing.T) {
	got, err := mythicbeasts.ReadAliases(strings.NewReader("example.org x.example.net\n_acme-challenge.www.example.org. y.example.net.\n"))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"_acme-challenge.example.org.": "x.example.net.", "_acme-challenge.www.example.org.": "y.example.net."}, got)
	_, err = mythicbeasts.ReadAliases(strings.NewReader("a b c\na.b c.d\nA.b e.f\n"))
	require.ErrorContains(t, err, "line 1")
	require.ErrorContains(t, err, "line 3")
}

func FuzzReadCredentials(f *testing.F) {
	f.Add("example.org pass\n\nexample.net id secret\n")
	f.Add("a b c d\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := mythicbeasts.ReadCredentials(strings.NewReader(text))
		for _, c := range got {
			require.NotEmpty(t, c.Secret)
		}
		if err == nil {
			_, err = mythicbeasts.ReadAliases(strings.NewReader(text))
		}
		_ = err
	})
}

func ExampleReadCredentials() {
	credentials, err := mythicbeasts.ReadCredentials(strings.NewReader("example.org keyid secret\nexample.net password\n"))
	fmt.Println(credentials, err)
	// Output: [example.org. key keyid example.net. (password)] <nil>
}
