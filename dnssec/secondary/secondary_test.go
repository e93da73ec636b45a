package secondary

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/internal/lab"
	"github.com/stretchr/testify/require"
)

func example(t testing.TB) Config {
	c := Config{
		Primary: netip.MustParseAddrPort("[2001:db8::53]:5300"),
		Keys:    []Key{{Name: "xfr.", Secret: "c2VjcmV0LW9mLXRoZS10ZXN0LWtleS0xMjM0NTY3ODk="}, {Name: "other.", Algorithm: "hmac-sha512", Secret: "c2VjcmV0"}},
	}
	for i, text := range []string{"example.org.", "example.net.", "0/25.2.0.192.in-addr.arpa."} {
		origin, err := wire.ParseName(text)
		require.NoError(t, err)
		c.Zones = append(c.Zones, Zone{Origin: origin, Key: c.Keys[i%2].Name})
	}
	return c
}

func TestCheck(t *testing.T) {
	c := example(t)
	c.Primary = netip.MustParseAddrPort("[::]:53")
	c.Keys[0].Secret = "hunter2!"
	c.Keys[1].Algorithm = "hmac-md5"
	c.Zones[0].Key = "none."
	for _, write := range []func() (string, error){c.Knot, c.NSD, c.BIND} {
		_, err := write()
		for _, text := range []string{"[::]:53 is none", "not base64", "hmac-md5", `no TSIG key "none."`} {
			require.ErrorContains(t, err, text)
		}
		require.NotContains(t, err.Error(), "hunter2")
	}
	require.NotContains(t, fmt.Sprintf("%v %#v", c, c), "hunter2")
}

// TestCheckers has each server's own program read what is written for it.
func TestCheckers(t *testing.T) {
	lab.Need(t, "knotc", "nsd-checkconf", "named-checkconf")
	c := example(t)
	for name, tt := range map[string]struct {
		write  func() (string, error)
		before string
		check  func(path string) (string, []string)
	}{
		"Knot": {c.Knot, "server:\n    listen: 127.0.0.1@5399\n\n", func(path string) (string, []string) { return "knotc", []string{"-c", path, "conf-check"} }},
		"NSD":  {c.NSD, "server:\n\tzonesdir: \"/tmp\"\n\n", func(path string) (string, []string) { return "nsd-checkconf", []string{path} }},
		"BIND": {c.BIND, "", func(path string) (string, []string) { return "named-checkconf", []string{path} }},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := tt.write()
			require.NoError(t, err)
			path := filepath.Join(t.TempDir(), "conf")
			require.NoError(t, os.WriteFile(path, []byte(tt.before+text), 0o600))
			program, args := tt.check(path)
			t.Log(lab.Run(t, program, args...))
			// They do find mistakes.
			require.NoError(t, os.WriteFile(path, []byte(tt.before+text+"\nnonsense: {\n"), 0o600))
			require.Error(t, exec.CommandContext(t.Context(), lab.Program(t, program), args...).Run())
		})
	}
}

func ExampleConfig() {
	origin, _ := wire.ParseName("example.org")
	text, _ := Config{
		Primary: netip.MustParseAddrPort("[2001:db8::53]:53"),
		Keys:    []Key{{Name: "xfr.", Secret: "c2VjcmV0"}},
		Zones:   []Zone{{Origin: origin, Key: "xfr."}},
	}.NSD()
	fmt.Print(text)
	// Output:
	// key:
	// 	name: "xfr."
	// 	algorithm: hmac-sha256
	// 	secret: "c2VjcmV0"
	//
	// zone:
	// 	name: "example.org"
	// 	zonefile: "example.org.zone"
	// 	allow-notify: 2001:db8::53 NOKEY
	// 	request-xfr: 2001:db8::53@53 "xfr."
}
