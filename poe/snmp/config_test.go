package snmp

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/gosnmp/gosnmp"
	"github.com/stretchr/testify/require"
)

func TestValidate(t *testing.T) {
	good := Config{Address: "sw1", User: "rack", Auth: "12345678", Priv: "12345678"}
	require.NoError(t, good.Validate())
	for want, edit := range map[string]func(*Config){
		"host or host:port":      func(c *Config) { c.Address = "" },
		"needs a user":           func(c *Config) { c.User = "" },
		"at least 8 characters":  func(c *Config) { c.Auth = "1234567" },
		"of at least 8":          func(c *Config) { c.Priv = "" },
		"a community is v2c's":   func(c *Config) { c.Community = "public" },
		`protocol "crc32"`:       func(c *Config) { c.AuthProtocol = "crc32" },
		`protocol "rot13"`:       func(c *Config) { c.PrivProtocol = "rot13" },
		"want 3 or 2":            func(c *Config) { c.Version = 1 },
		"v2c has no users":       func(c *Config) { c.Version = V2c; c.Community = "public" },
		"v2c needs a community":  func(c *Config) { *c = Config{Address: "sw1", Version: V2c} },
		"want host or host:port": func(c *Config) { c.Address = "sw1:0" },
		`address "sw1:65536"`:    func(c *Config) { c.Address = "sw1:65536" },
	} {
		c := good
		edit(&c)
		require.ErrorContains(t, c.Validate(), want)
		_, err := Dial(t.Context(), c)
		require.ErrorContains(t, err, want)
	}
	err := Config{}.Validate()
	for _, want := range []string{"address", "user", "passphrases"} {
		require.ErrorContains(t, err, want, "all at once")
	}
}

func TestDefaults(t *testing.T) {
	c := Config{Address: "2001:db8::1", User: "rack", Auth: "12345678", Priv: "12345678"}
	g, err := c.client()
	require.NoError(t, err)
	require.Equal(t, gosnmp.Version3, g.Version)
	require.Equal(t, gosnmp.AuthPriv, g.MsgFlags)
	usm := g.SecurityParameters.(*gosnmp.UsmSecurityParameters)
	require.Equal(t, gosnmp.SHA256, usm.AuthenticationProtocol)
	require.Equal(t, gosnmp.AES, usm.PrivacyProtocol)
	require.EqualValues(t, 161, g.Port)
	require.Equal(t, "2001:db8::1", g.Target)
	for _, address := range []string{"[2001:db8::1]", "[2001:db8::1]:161"} {
		host, port, err := Config{Address: address}.hostPort()
		require.NoError(t, err)
		require.Equal(t, "2001:db8::1", host)
		require.EqualValues(t, 161, port)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	c := Config{Address: "sw1", User: "rack", Auth: "s3cret-auth", Priv: "s3cret-priv", Community: "s3cret-comm"}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("config", "secret", c.Auth, "config", c)
	asJSON, err := json.Marshal(c)
	require.NoError(t, err)
	text := fmt.Sprintf("%v %+v %#v %s %q", c, c, c, c.Auth, c.Priv) + string(asJSON) + log.String() + fmt.Sprint(c.Validate())
	require.NotContains(t, text, "s3cret")
}

func TestVendorOf(t *testing.T) {
	for objectID, want := range map[string]string{
		"1.3.6.1.4.1.9.1.1208": "Cisco IOS", "1.3.6.1.4.1.9.6.1.91.24.5": "Cisco Small Business", "1.3.6.1.4.1.11.2.3.7.11.182": "HP",
		"1.3.6.1.4.1.47196.4.1.1.1.50": "Aruba CX", "1.3.6.1.4.1.4526.100.4.19": "Netgear", "1.3.6.1.4.1.1916.2.141": "Extreme",
		"1.3.6.1.4.1.14988.1": "MikroTik", "1.3.6.1.4.1.99999.1": "unknown", "": "unknown", "1.3.6.1.4.1.94": "unknown",
	} {
		require.Equal(t, want, vendorOf(objectID).name, objectID)
	}
}

func TestAfter(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"1.2", "1.2", false}, {"1.2.1", "1.2", true}, {"1.2", "1.2.1", false}, {"1.10", "1.9", true}, {"1.9", "1.10", false}, {"2", "1.99", true}} {
		require.Equal(t, c.want, after(c.a, c.b), "%s after %s", c.a, c.b)
	}
}

// TestTableWithoutEnd has an agent go round in circles.
func TestTableWithoutEnd(t *testing.T) {
	s := &session{address: "sw1"}
	at := []string{portAdmin}
	nothing := func(int, string, gosnmp.SnmpPDU) {}
	open, err := s.take([]gosnmp.SnmpPDU{{Name: "." + portAdmin + ".1.1", Type: gosnmp.Integer}}, []string{portAdmin}, at, []int{0}, nothing)
	require.NoError(t, err)
	require.Equal(t, []int{0}, open)
	_, err = s.take([]gosnmp.SnmpPDU{{Name: "." + portAdmin + ".1.1", Type: gosnmp.Integer}}, []string{portAdmin}, at, []int{0}, nothing)
	require.ErrorContains(t, err, "out of order")
	require.ErrorIs(t, s.failed(context.Background(), gosnmp.ErrWrongDigest), ErrCredentials)
}

func TestMACOf(t *testing.T) {
	mac, ok := macOf("1.184.39.235.1.0.2")
	require.True(t, ok)
	require.Equal(t, []byte{0xb8, 0x27, 0xeb, 1, 0, 2}, mac)
	for _, bad := range []string{"", "1.2.3", "1.2.3.4.5.256", "a.b.c.d.e.f"} {
		_, ok := macOf(bad)
		require.False(t, ok, bad)
	}
}
