package acme_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/manager"
	"github.com/berryrack/berryrack/acme/mythicbeasts"
	"github.com/berryrack/berryrack/acme/rfc2136"
)

// No way to print a value that holds a secret tells it.
func TestSecretsAreNotPrinted(t *testing.T) {
	const hidden = "hunter2"
	key := rfc2136.Key{Name: "acme.", Secret: hidden}
	credential := mythicbeasts.Credential{Zone: "example.org.", KeyID: "id", Secret: hidden}
	external := manager.ExternalAccount{KeyID: "kid", HMAC: hidden}
	for _, value := range []any{
		acme.Secret(hidden), key, &key, &rfc2136.Provider{Key: key}, credential, &mythicbeasts.Provider{Credentials: []mythicbeasts.Credential{credential}},
		external, &external, &manager.Manager{External: &external}, []any{key, credential}, map[string]any{"key": &key}, struct {
			K *rfc2136.Key
			C *mythicbeasts.Credential
			S *acme.Secret
		}{K: &key, C: &credential},
	} {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%08.3f", "%c", "%T"} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
		fmt.Fprintln(&out, value)
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(handler).Info("value", "value", value, slog.Group("in", "a", "group", "value", value))
		}
		if data, err := json.Marshal(value); err == nil { // a Manager has functions in it
			out.Write(data)
		}
		if data, err := xml.Marshal(value); err == nil {
			out.Write(data)
		}
		require.NotContains(t, out.String(), hidden, "%T", value)
		require.NotContains(t, out.String(), fmt.Sprintf("%x", hidden), "%T", value)
		require.NotContains(t, out.String(), fmt.Sprintf("%X", hidden), "%T", value)
	}
}

func ExampleSecret() {
	key := rfc2136.Key{Name: "acme.", Secret: "MDEyMzQ1Njc4OWFiY2RlZg=="}
	data, _ := json.Marshal(key)
	fmt.Printf("%s\n%v %#v\n", data, key, key.Secret)
	// Output:
	// {"Name":"acme.","Algorithm":"","Secret":"[secret]"}
	// acme. hmac-sha256 "[secret]"
}
