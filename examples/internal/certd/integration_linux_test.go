package certd_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/acmelab"
	"github.com/berryrack/berryrack/internal/lab"
)

// Certd keeps certificates that live for half a minute, from Debian's pebble by
// way of BIND; nginx serves them, and no download breaks when it gets new ones.
func TestNginxServesRenewedCertificates(t *testing.T) {
	lab.Need(t, "pebble", "named", "nginx", "dig", "openssl", "netns")
	if !lab.Isolated(t) {
		return
	}
	s := acmelab.New(t, acmelab.BIND, `, "certificateValidityPeriod": 30`)
	lab.Run(t, "go", "build", "-o", s.Path("certd"), "github.com/berryrack/berryrack/examples/certd")
	require.NoError(t, os.WriteFile(s.Path("page"), make([]byte, 400_000), 0o644))
	nginx := s.Write(t, "nginx.conf", fmt.Sprintf(`
daemon off; pid %[1]s/nginx.pid; error_log stderr; worker_processes 1; user root;
events {}
http {
	access_log off;
	server {
		listen 127.0.0.1:443 ssl;
		ssl_certificate %[1]s/out/%[2]s/current/fullchain.pem;
		ssl_certificate_key %[1]s/out/%[2]s/current/privkey.pem;
		root %[1]s;
		location /page { limit_rate 20k; }
		location /quick { return 200 "ok"; }
	}
}
`, s.Dir, acmelab.Domain), 0o644)
	config := s.Write(t, "certd.yaml", fmt.Sprintf(`
account: {ca: "https://localhost:14000/dir", ca_file: %[1]s/ca.pem, agree_tos: true}
provider: {rfc2136: {server: 127.0.0.1, tsig: {name: acme., secret_file: %[1]s/secret}}}
resolvers: [127.0.0.1]
interval: 100ms
certificates:
  - names: [%[2]s, "*.%[2]s"]
    reload: [[sh, -c, "! test -e %[1]s/nginx.pid || nginx -c %[3]s -s reload"]]
`, s.Dir, acmelab.Domain, nginx), 0o600)
	s.Start(t, nil, s.Path("certd"), "run", "-f", config, "--state", s.Path("state"), "--out", s.Path("out"))
	current := filepath.Join(s.Path("out"), acmelab.Domain, "current")
	acmelab.Eventually(t, "first certificate", func() bool { _, err := os.Stat(filepath.Join(current, "privkey.pem")); return err == nil })
	s.Judge(t, filepath.Join(current, "fullchain.pem"), filepath.Join(current, "privkey.pem"))
	s.Start(t, nil, "nginx", "-c", nginx)

	root := x509.NewCertPool()
	text, err := os.ReadFile(s.Path("root.pem"))
	require.NoError(t, err)
	require.True(t, root.AppendCertsFromPEM(text))
	newClient := func() *http.Client {
		return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{ServerName: "any." + acmelab.Domain, RootCAs: root}}}
	}
	acmelab.Eventually(t, "nginx", func() bool { _, err := get(t.Context(), newClient(), "quick"); return err == nil })

	// One download that takes twenty seconds, and all the while short ones.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	download := make(chan error, 1)
	go func() {
		response, err := newClient().Get("https://127.0.0.1/page")
		if err == nil {
			var n int64
			if n, err = io.Copy(io.Discard, response.Body); err == nil && n != 400_000 {
				err = fmt.Errorf("%d bytes", n)
			}
		}
		download <- err
	}()
	serials := map[string]bool{}
	requests := 0
	for done := false; !done; requests++ {
		serial, err := get(ctx, newClient(), "quick")
		require.NoError(t, err, "after %d requests", requests)
		serials[serial] = true
		select {
		case err := <-download:
			require.NoError(t, err)
			done = true
		case <-time.After(5 * time.Millisecond):
		}
	}
	require.Greater(t, len(serials), 1, "%d requests saw certificates %v", requests, serials)
	t.Logf("%d requests, %d certificates, none failed", requests, len(serials))
	acmelab.Eventually(t, "no record of ours is left", func() bool { return s.TXT(t) == acmelab.Foreign })
	out := lab.Run(t, s.Path("certd"), "status", "-f", config, "--state", s.Path("state"), "--out", s.Path("out"))
	require.Contains(t, out, acmelab.Domain)
	require.True(t, strings.Contains(out, "half of its life is left"), out)
}

func get(ctx context.Context, client *http.Client, path string) (serial string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://127.0.0.1/"+path, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return "", err
	}
	return response.TLS.PeerCertificates[0].SerialNumber.String(), nil
}
