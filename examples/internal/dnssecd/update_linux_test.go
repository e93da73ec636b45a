package dnssecd

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/acmetest"
	"github.com/berryrack/berryrack/acme/rfc2136"
	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/daemon"
	"github.com/berryrack/berryrack/internal/lab"
)

const tsigSecret = "c2VjcmV0LW9mLXRoZS10ZXN0LWtleS0xMjM0NTY3ODk="

// running runs dnssecd with a signed zone example.org, and returns its address.
func running(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	for name, text := range map[string]string{
		"zone": "$TTL 300\n@ SOA ns host 1 7200 3600 1209600 60\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.1\nwww TXT stays\n",
		"key":  tsigSecret + "\n",
		"dnssecd.yaml": fmt.Sprintf(`listen: [%q]
tsig: [{name: acme., secret_file: %[2]s/key}, {name: narrow., secret_file: %[2]s/key}]
parent: {servers: ["127.0.0.1:9"]}
zones: [{name: example.org, file: %[2]s/zone, allow_update: [acme., "narrow. TXT _acme-challenge"]}]
`, address, dir),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	o := Options{Config: filepath.Join(dir, "dnssecd.yaml"), State: filepath.Join(dir, "state"), Log: slog.New(slog.DiscardHandler)}
	std := cli.Streams{Out: t.Output(), Err: t.Output()}
	require.NoError(t, Enable(t.Context(), o, "example.org", "", std))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, o, daemon.Flags{}, std) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	require.Eventually(t, func() bool {
		reply, err := dns.Exchange(new(dns.Msg).SetQuestion("example.org.", dns.TypeSOA), address)
		return err == nil && len(reply.Answer) > 0
	}, 30*time.Second, 20*time.Millisecond)
	return address
}

// lookup returns the values of TXT records, which have to be signed.
func lookup(t *testing.T, address, name string) (values []string) {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, dns.TypeTXT)
	m.SetEdns0(4096, true)
	client := dns.Client{Net: "tcp"}
	reply, _, err := client.Exchange(m, address)
	require.NoError(t, err)
	signed := false
	for _, rr := range reply.Answer {
		switch rr := rr.(type) {
		case *dns.TXT:
			values = append(values, strings.Join(rr.Txt, ""))
		case *dns.RRSIG:
			signed = true
		}
	}
	require.Equal(t, len(values) > 0, signed)
	return values
}

// TestCertificates has this project's own provider place the records of
// certificates in a zone that dnssecd signs.
func TestCertificates(t *testing.T) {
	address := running(t)
	provider := &rfc2136.Provider{Server: address, Key: rfc2136.Key{Name: "acme.", Secret: tsigSecret}}
	acmetest.Provider(t, acmetest.Subject{
		Provider: provider, Zone: "example.org.",
		Lookup: func(name string) []string { return lookup(t, address, name) },
	})
	for _, tt := range []struct {
		key, secret, name string
		want              error
	}{
		{"narrow.", tsigSecret, "_acme-challenge.www.example.org.", nil},
		{"narrow.", tsigSecret, "www.example.org.", acme.ErrDenied},
		{"acme.", "d3Jvbmc=", "www.example.org.", acme.ErrDenied},
		{"nobody.", tsigSecret, "www.example.org.", acme.ErrDenied},
	} {
		provider := &rfc2136.Provider{Server: address, Key: rfc2136.Key{Name: tt.key, Secret: acme.Secret(tt.secret)}}
		err := provider.AppendTXT(t.Context(), acme.Record{Zone: "example.org.", Name: tt.name, Value: "v", TTL: time.Minute})
		if tt.want == nil {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, tt.want)
	}
}

// TestNsupdate has the program that everybody knows do the same.
func TestNsupdate(t *testing.T) {
	lab.Need(t, "nsupdate")
	address := running(t)
	host, port, _ := strings.Cut(address, ":")
	nsupdate := func(commands string) (string, error) {
		cmd := exec.CommandContext(t.Context(), lab.Program(t, "nsupdate"), "-v", "-y", "hmac-sha256:acme.:"+tsigSecret)
		cmd.Stdin = strings.NewReader(fmt.Sprintf("server %s %s\nzone example.org\n%s\nsend\n", host, port, commands))
		output, err := cmd.CombinedOutput()
		return string(output), err
	}
	output, err := nsupdate("prereq nxdomain new.example.org\nprereq yxrrset www.example.org A\nupdate add new.example.org 60 TXT \"one\"\nupdate add new.example.org 60 TXT two")
	require.NoError(t, err, output)
	require.ElementsMatch(t, []string{"one", "two"}, lookup(t, address, "new.example.org."))
	output, err = nsupdate("prereq nxdomain new.example.org\nupdate add new.example.org 60 TXT three")
	require.Error(t, err)
	require.Contains(t, output, "YXDOMAIN")
	output, err = nsupdate("update delete new.example.org TXT one")
	require.NoError(t, err, output)
	require.Equal(t, []string{"two"}, lookup(t, address, "new.example.org."))
	output, err = nsupdate("update delete new.example.org\nupdate delete example.org NS")
	require.NoError(t, err, output)
	require.Empty(t, lookup(t, address, "new.example.org."))
	output, err = nsupdate("update add example.org 60 DNSKEY 257 3 15 AAAA")
	require.Error(t, err)
	require.Contains(t, output, "REFUSED")
}
