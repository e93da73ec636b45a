package mythicbeasts_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/acmetest"
)

const (
	keyID     = "testkey"
	keySecret = "s3cr3t-of-the-key"
	password  = "s3cr3t-of-the-zone"
)

// api behaves as the DNS API of Mythic Beasts does, in both versions, for the
// zones of an Internet, whose servers get the changes late.
type api struct {
	internet *acmetest.Internet
	zones    map[string]*acmetest.Zone

	mu       sync.Mutex
	limited  int               // requests to refuse with 429
	restrict string            // the one name that the key may change, or ""
	tokens   map[string]string // token to the address that it is bound to
	requests []string
}

func newAPI(t *testing.T, zones ...string) (*api, *httptest.Server) {
	a := &api{internet: acmetest.NewInternet(t), zones: map[string]*acmetest.Zone{}, tokens: map[string]string{}}
	a.internet.Zone("org.")
	for i, zone := range zones {
		a.zones[zone] = a.internet.Zone(zone, fmt.Sprintf("192.0.2.%d", i+1), fmt.Sprintf("2001:db8::%d", i+1))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", a.login)
	mux.HandleFunc("GET /v2/zones", a.authorized(a.listZones))
	mux.HandleFunc("/v2/zones/{zone}/records/{host}/{type}", a.authorized(a.records))
	mux.HandleFunc("/v2/", func(w http.ResponseWriter, r *http.Request) {
		say(w, http.StatusForbidden, `{"error":"no permission"}`)
	})
	mux.HandleFunc("POST /v1", a.v1)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return a, server
}

func say(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintln(w, body)
}

// login gives tokens that are good for the address which asked alone.
func (a *api) login(w http.ResponseWriter, r *http.Request) {
	if id, secret, _ := r.BasicAuth(); id != keyID || secret != keySecret {
		say(w, http.StatusUnauthorized, `{"error":"invalid_client","error_description":"Invalid client ID or secret"}`)
		return
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	a.mu.Lock()
	defer a.mu.Unlock()
	token := fmt.Sprint("token", len(a.tokens))
	a.tokens[token] = host
	say(w, http.StatusOK, `{"access_token":"`+token+`","expires_in":300,"token_type":"bearer"}`)
}

// authorized wants HTTP Basic, or a token that is used from where it was got.
func (a *api) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.requests = append(a.requests, r.Method+" "+r.URL.String())
		limited := a.limited > 0
		if limited {
			a.limited--
		}
		token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		bound := a.tokens[token]
		a.mu.Unlock()
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		id, secret, _ := r.BasicAuth()
		switch {
		case limited:
			w.Header().Set("Retry-After", "0")
			say(w, http.StatusTooManyRequests, `{"message":"Rate limited"}`)
		case bearer && bound != host:
			say(w, http.StatusUnauthorized, `{"error":"Token is not valid for this address"}`)
		case !bearer && (id != keyID || secret != keySecret):
			say(w, http.StatusUnauthorized, `{"error":"Invalid key `+secret+`"}`)
		case len(r.Header.Values("Content-Type")) > 1:
			say(w, http.StatusBadRequest, `{"error":"invalid_request"}`)
		default:
			next(w, r)
		}
	}
}

func (a *api) listZones(w http.ResponseWriter, _ *http.Request) {
	var names []string
	for zone := range a.zones {
		names = append(names, strings.TrimSuffix(zone, "."))
	}
	slices.Sort(names)
	data, _ := json.Marshal(map[string][]string{"zones": names})
	say(w, http.StatusOK, string(data))
}

func owner(host, zone string) string {
	if host == "@" {
		return zone
	}
	return host + "." + zone
}

func (a *api) records(w http.ResponseWriter, r *http.Request) {
	zone := r.PathValue("zone") + "."
	z := a.zones[zone]
	if z == nil {
		say(w, http.StatusNotFound, `{"error":"No such zone"}`)
		return
	}
	name := owner(r.PathValue("host"), zone)
	if a.restrict != "" && (name != a.restrict || r.PathValue("type") != "TXT") {
		say(w, http.StatusForbidden, `{"error":"This key has no permission for that record"}`)
		return
	}
	switch r.Method {
	case http.MethodGet:
		if served := z.Served(name); r.URL.Query().Has("verify") && !slices.Equal(slices.Sorted(slices.Values(served)), slices.Sorted(slices.Values(z.TXT(name)))) {
			say(w, http.StatusConflict, `{"message":"Not yet live on all servers"}`)
			return
		}
		say(w, http.StatusOK, `{"records":[]}`)
	case http.MethodPost:
		a.post(w, r, z, name)
	case http.MethodDelete:
		a.delete(w, r, z, name)
	default:
		say(w, http.StatusMethodNotAllowed, `{"error":"method not allowed"}`)
	}
}

func (a *api) post(w http.ResponseWriter, r *http.Request, z *acmetest.Zone, name string) {
	var body struct {
		Records []struct {
			Host, Type, Data string
			TTL              int
		}
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil || len(body.Records) != 1 || body.Records[0].Data == "" || body.Records[0].TTL < 1 {
		say(w, http.StatusBadRequest, `{"errors":["Malformed record"]}`)
		return
	}
	if slices.Contains(z.TXT(name), body.Records[0].Data) {
		say(w, http.StatusBadRequest, `{"errors":["Can't have multiple identical records"]}`)
		return
	}
	a.internet.Provider().AppendTXT(r.Context(), acme.Record{Zone: z.Origin, Name: name, Value: body.Records[0].Data})
	say(w, http.StatusOK, `{"records_added":1,"records_removed":0,"message":"1 records added"}`)
}

// delete removes the selection: all of it, when no data is given.
func (a *api) delete(w http.ResponseWriter, r *http.Request, z *acmetest.Zone, name string) {
	removed := 0
	for _, value := range z.TXT(name) {
		if data := r.URL.Query().Get("data"); data == "" || data == value {
			a.internet.Provider().DeleteTXT(r.Context(), acme.Record{Zone: z.Origin, Name: name, Value: value})
			removed++
		}
	}
	say(w, http.StatusOK, fmt.Sprintf(`{"records_added":0,"records_removed":%d,"message":"%d records removed"}`, removed, removed))
}

// v1 is the legacy API: commands in a form.
func (a *api) v1(w http.ResponseWriter, r *http.Request) {
	z := a.zones[r.PostFormValue("domain")+"."]
	if z == nil || r.PostFormValue("password") != password {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintln(w, "ERR Not authenticated", r.PostFormValue("password"))
		return
	}
	command := r.PostFormValue("command")
	f := strings.Fields(command)
	switch {
	case command == "LIST":
		a.list(w, z)
	case len(f) == 5 && f[0] == "ADD" && slices.Contains(z.TXT(owner(f[1], z.Origin)), f[4]):
		fmt.Fprintf(w, "N%s; Can't have multiple identical records\n", command)
	case len(f) == 5 && f[0] == "ADD" && f[1] == "forbidden":
		fmt.Fprintf(w, "N%s; Host name is not allowed\n", command)
	case len(f) == 5 && f[0] == "ADD":
		a.internet.Provider().AppendTXT(r.Context(), acme.Record{Zone: z.Origin, Name: owner(f[1], z.Origin), Value: f[4]})
		fmt.Fprintln(w, command)
	case len(f) == 5 && f[0] == "DELETE" && f[2] == "60":
		a.internet.Provider().DeleteTXT(r.Context(), acme.Record{Zone: z.Origin, Name: owner(f[1], z.Origin), Value: f[4]})
		fmt.Fprintln(w, command)
	case len(f) == 5 && f[0] == "DELETE":
		fmt.Fprintf(w, "N%s; No such record\n", command)
	default:
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintln(w, "ERR bad command")
	}
}

func (a *api) list(w http.ResponseWriter, z *acmetest.Zone) {
	fmt.Fprintf(w, "@ 86400 A 192.0.2.80\n@ 86400 MX 10 mx.example.org.\n")
	for _, label := range []string{"one", "two", "twice", "shared", "parallel", "never"} {
		host := "_acme-challenge." + label
		for _, value := range z.TXT(owner(host, z.Origin)) {
			fmt.Fprintf(w, "%s 60 TXT %s\n", host, value)
		}
	}
}

// newRecorder starts a server that notes what it is asked.
func newRecorder(t *testing.T, got *[]string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*got = append(*got, r.Method+" "+r.URL.String()+" "+string(body))
		say(w, http.StatusOK, "{}")
	}))
	t.Cleanup(server.Close)
	return server.URL
}
