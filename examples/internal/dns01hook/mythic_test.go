package dns01hook

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/acmetest"
	"github.com/berryrack/berryrack/acme/mythicbeasts"
)

// api is as much of version 2 of the DNS API as a hook needs.
func api(t *testing.T, n *acmetest.Internet, zone string) string {
	mux := http.NewServeMux()
	change := func(w http.ResponseWriter, r *http.Request) {
		if id, secret, _ := r.BasicAuth(); id != "keyid" || secret != "secret" || r.PathValue("zone")+"." != zone {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		record := acme.Record{Zone: zone, Name: r.PathValue("host") + "." + zone, Value: r.URL.Query().Get("data")}
		switch r.Method {
		case http.MethodPost:
			var body struct{ Records []struct{ Data string } }
			require.NoError(t, json.NewDecoder(r.Body).Decode(&body))
			record.Value = body.Records[0].Data
			require.NoError(t, n.Provider().AppendTXT(r.Context(), record))
		case http.MethodDelete:
			require.NoError(t, n.Provider().DeleteTXT(r.Context(), record))
		}
		w.Write([]byte("{}"))
	}
	mux.HandleFunc("/zones/{zone}/records/{host}/TXT", change)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// The two files of the Mythic Beasts hook are all that there is: its job is done,
// with the alias of the second file.
func TestDropInForTheMythicBeastsHook(t *testing.T) {
	n := acmetest.NewInternet(t)
	n.Zone("org.")
	n.Zone("example.org.")
	n.Zone("net.")
	zone := n.Zone("example.net.")
	dir := t.TempDir()
	for name, text := range map[string]string{"config": "other.org password\n\nexample.net keyid secret\n", "map": "example.org acme.example.net\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	t.Setenv(configVar, "")
	t.Setenv(mythicVar, filepath.Join(dir, "config"))
	t.Setenv(mythicAliasVar, filepath.Join(dir, "map"))
	hook, err := Options{State: filepath.Join(dir, "state")}.hook(slog.New(slog.DiscardHandler), io.Discard)
	require.NoError(t, err)
	hook.Solver.Provider.(*mythicbeasts.Provider).Endpoint = api(t, n, "example.net.")
	hook.Solver.Checker = n.Checker()

	environment := func(name string) (string, bool) { return "dns-01", name == "CHALLENGETYPE" }
	args := []string{"example.org", "t", acme.Digest("a"), "example.org", "t", acme.Digest("b")}
	require.NoError(t, hook.Run(t.Context(), append([]string{"hook", "deploy_challenge"}, args...), environment))
	require.ElementsMatch(t, []string{acme.Digest("a"), acme.Digest("b")}, zone.TXT("acme.example.net."))
	require.NoError(t, hook.Run(t.Context(), append([]string{"hook", "clean_challenge"}, args[:3]...), environment))
	require.Equal(t, []string{acme.Digest("b")}, zone.TXT("acme.example.net."))

	// A name in no zone of the file is an error at once, not a wait.
	err = hook.Run(t.Context(), []string{"hook", "deploy_challenge", "www.example.org", "t", acme.Digest("c")}, environment)
	require.ErrorIs(t, err, acme.ErrNoZone)
}
