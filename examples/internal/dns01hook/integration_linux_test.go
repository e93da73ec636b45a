package dns01hook_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/acmelab"
	"github.com/berryrack/berryrack/internal/lab"
)

const domain = acmelab.Domain

// site has a hook as well.
type site struct {
	*acmelab.Site
	hook string // a script, as HOOK of dehydrated is one word
}

func newSite(t *testing.T, nameserver func(testing.TB, *acmelab.Site)) *site {
	s := &site{Site: acmelab.New(t, nameserver, "")}
	lab.Run(t, "go", "build", "-o", s.Path("dns01hook"), "github.com/berryrack/berryrack/examples/dns01hook")
	config := s.Write(t, "dns01hook.yaml", fmt.Sprintf(`
provider: {rfc2136: {server: 127.0.0.1, tsig: {name: acme., secret_file: %s}}}
resolvers: [127.0.0.1]
interval: 100ms
`, s.Path("secret")), 0o644)
	s.hook = s.Write(t, "hook", fmt.Sprintf("#!/bin/sh\nexec %s -f %s --state %s \"$@\"\n", s.Path("dns01hook"), config, s.Path("state")), 0o755)
	return s
}

func TestClients(t *testing.T) {
	lab.Need(t, "pebble", "dehydrated", "certbot", "lego", "named", "knotd", "dig", "openssl", "netns")
	for name, nameserver := range map[string]func(testing.TB, *acmelab.Site){"BIND": acmelab.BIND, "Knot": acmelab.Knot} {
		t.Run(name, func(t *testing.T) {
			if !lab.Isolated(t) {
				return
			}
			s := newSite(t, nameserver)
			s.dehydrated(t, "yes")
			s.dehydrated(t, "no")
			s.certbot(t)
			s.lego(t, map[string]string{"BIND": "", "Knot": "RAW"}[name])
			s.killed(t)
		})
	}
}

func (s *site) dehydrated(t *testing.T, chain string) {
	base := s.Path("dehydrated-" + chain)
	require.NoError(t, os.MkdirAll(base, 0o700))
	config := s.Write(t, "dehydrated.conf", fmt.Sprintf("CA=https://localhost:14000/dir\nCHALLENGETYPE=dns-01\nBASEDIR=%s\nHOOK=%s\nHOOK_CHAIN=%s\nCURL_OPTS=\"--cacert %s\"\n",
		base, s.hook, chain, s.Path("ca.pem")), 0o600)
	lab.Run(t, "dehydrated", "-f", config, "--register", "--accept-terms")
	lab.Run(t, "dehydrated", "-f", config, "-c", "-d", domain, "-d", "*."+domain)
	s.Judge(t, filepath.Join(base, "certs", domain, "fullchain.pem"), filepath.Join(base, "certs", domain, "privkey.pem"))
	require.Equal(t, acmelab.Foreign, s.TXT(t))
	lab.Run(t, "dehydrated", "-f", config, "-c", "-d", domain, "-d", "*."+domain) // unchanged
}

func (s *site) certbot(t *testing.T) {
	t.Setenv("REQUESTS_CA_BUNDLE", s.Path("ca.pem"))
	base := s.Path("certbot")
	dirs := []string{"--config-dir", base, "--work-dir", base, "--logs-dir", base}
	get := func(names ...string) {
		args := []string{"certonly", "--non-interactive", "--agree-tos", "--register-unsafely-without-email", "--server", "https://localhost:14000/dir",
			"--manual", "--preferred-challenges", "dns", "--manual-auth-hook", s.hook, "--manual-cleanup-hook", s.hook}
		lab.Run(t, "certbot", slices.Concat(args, dirs, names)...)
	}
	get("-d", domain, "-d", "*."+domain)
	get("--cert-name", "wildcard", "-d", "*."+domain)
	lab.Run(t, "certbot", append([]string{"renew", "--force-renewal", "--no-random-sleep-on-renew"}, dirs...)...) // one after the other, in one process
	live := filepath.Join(base, "live", domain)
	s.Judge(t, filepath.Join(live, "fullchain.pem"), filepath.Join(live, "privkey.pem"))
	require.Equal(t, acmelab.Foreign, s.TXT(t))
}

func (s *site) lego(t *testing.T, mode string) {
	for name, value := range map[string]string{
		"LEGO_CA_CERTIFICATES": s.Path("ca.pem"), "EXEC_PATH": s.hook, "EXEC_MODE": mode, "EXEC_POLLING_INTERVAL": "1", "EXEC_SEQUENCE_INTERVAL": "1",
	} {
		t.Setenv(name, value)
	}
	base := s.Path("lego" + mode)
	lab.Run(t, "lego", "--server", "https://localhost:14000/dir", "--accept-tos", "--email", "root@example.test", "--path", base,
		"--dns", "exec", "--dns.resolvers", "127.0.0.1:53", "--dns.disable-cp", "-d", domain, "-d", "*."+domain, "run")
	s.Judge(t, filepath.Join(base, "certificates", domain+".crt"), filepath.Join(base, "certificates", domain+".key"))
	require.Equal(t, acmelab.Foreign, s.TXT(t))
}

// killed kills dehydrated while its records are published. It has no time to
// clean up; the next call of the hook does.
func (s *site) killed(t *testing.T) {
	value := strings.Repeat("k", 43)
	script := s.Write(t, "dehydrated", fmt.Sprintf("#!/bin/sh\n%s deploy_challenge %s token %s && kill -9 $$\n", s.hook, domain, value), 0o755)
	cmd := exec.CommandContext(t.Context(), script)
	cmd.Env = append(os.Environ(), "CHALLENGETYPE=dns-01")
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, syscall.SIGKILL, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal(), string(out))
	require.Contains(t, s.TXT(t), value)
	lab.Run(t, s.hook, "startup_hook")
	require.Equal(t, acmelab.Foreign, s.TXT(t))
}
