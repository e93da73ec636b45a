package acme_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/acme"
)

func env(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := vars[name]
		return value, ok
	}
}

var dns01 = env(map[string]string{"CHALLENGETYPE": "dns-01"})

const apex = "_acme-challenge.example.org."

func TestDehydrated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := &acme.Hook{Solver: w.solver}
	run := func(args ...string) error { return h.Run(t.Context(), append([]string{"dns01hook"}, args...), dns01) }
	require.NoError(t, run("startup_hook"))
	require.NoError(t, run("deploy_challenge", "example.org", "t1", "-v1", "example.org", "t2", "v2", "www.example.org", "t3", "v3"))
	require.ElementsMatch(t, []string{"-v1", "v2"}, w.zone.TXT(apex))
	require.NoError(t, run("clean_challenge", "example.org", "t1", "-v1", "www.example.org", "t3", "v3"))
	require.Equal(t, []string{"v2"}, w.zone.TXT(apex))
	require.NoError(t, run("clean_challenge", "example.org", "t2", "v2"))
	require.Empty(t, w.zone.TXT(apex))
	for _, op := range [][]string{
		{"sync_cert", "k", "c", "f", "c", "r"}, {"deploy_ocsp", "d", "o", "1"}, {"generate_csr", "d", "dir", "a b"}, {"exit_hook", "oops"},
		{"deploy_cert", "d", "k", "c", "f", "c", "1"}, {"unchanged_cert", "d", "k", "c", "f", "c"},
		{"invalid_challenge", "d", "response"}, {"request_failure", "403", "body", "POST", "headers"},
		{"this_hookscript_is_broken__dehydrated_is_working_fine__please_ignore_unknown_hooks_in_your_script"},
	} {
		require.NoError(t, run(op...), op)
	}
	require.ErrorContains(t, run("deploy_challenge", "example.org"), "HOOK_CHAIN")
	require.ErrorContains(t, run(), "no operation")
}

func TestDehydratedOtherChallengeTypes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := &acme.Hook{Solver: w.solver}
	digest := acme.Digest("x")
	for _, tt := range []struct {
		env   map[string]string
		value string
		want  []string
	}{
		{map[string]string{"CHALLENGETYPE": "http-01"}, digest, nil},
		{nil, "token.thumbprint", nil}, // --signcsr with http-01
		{nil, digest, []string{digest}},
	} {
		args := []string{"hook", "deploy_challenge", "example.org", "t", tt.value}
		require.NoError(t, h.Run(t.Context(), args, env(tt.env)))
		require.Equal(t, tt.want, w.zone.TXT(apex))
	}
}

func TestCertbot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var out bytes.Buffer
	h := &acme.Hook{Solver: w.solver, Output: &out}
	call := func(vars map[string]string) error {
		vars["CERTBOT_ALL_DOMAINS"] = "example.org,*.example.org"
		return h.Run(t.Context(), []string{"dns01hook"}, env(vars))
	}
	require.NoError(t, call(map[string]string{"CERTBOT_DOMAIN": "example.org", "CERTBOT_VALIDATION": "v1", "CERTBOT_REMAINING_CHALLENGES": "1"}))
	require.NotContains(t, w.log.String(), "waiting", "the first of a batch is not waited for")
	require.NoError(t, call(map[string]string{"CERTBOT_DOMAIN": "example.org", "CERTBOT_VALIDATION": "v2", "CERTBOT_REMAINING_CHALLENGES": "0"}))
	require.ElementsMatch(t, []string{"v1", "v2"}, w.zone.TXT(apex))
	require.Equal(t, "v1\nv2\n", out.String())
	require.NoError(t, call(map[string]string{"CERTBOT_DOMAIN": "example.org", "CERTBOT_VALIDATION": "v1", "CERTBOT_AUTH_OUTPUT": "v1"}))
	require.Equal(t, []string{"v2"}, w.zone.TXT(apex))
	require.NoError(t, call(map[string]string{"CERTBOT_IDENTIFIER": "example.org", "CERTBOT_VALIDATION": "v2", "CERTBOT_AUTH_OUTPUT": "v2"}))
	require.Empty(t, w.zone.TXT(apex))
	// certbot renew goes on with the next certificate, and forgets no variable.
	require.NoError(t, call(map[string]string{"CERTBOT_DOMAIN": "example.org", "CERTBOT_VALIDATION": "v3", "CERTBOT_REMAINING_CHALLENGES": "0", "CERTBOT_AUTH_OUTPUT": "v2"}))
	require.Equal(t, []string{"v3"}, w.zone.TXT(apex))
	require.ErrorContains(t, call(map[string]string{"CERTBOT_DOMAIN": "example.org", "CERTBOT_VALIDATION": "v", "CERTBOT_TOKEN": "t"}), "--preferred-challenges dns")
	h.Dialect = acme.Certbot
	require.ErrorContains(t, call(map[string]string{}), "--manual-auth-hook")
}

func TestLego(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := &acme.Hook{Solver: w.solver}
	run := func(args ...string) error {
		return h.Run(t.Context(), append([]string{"dns01hook"}, args...), env(nil))
	}
	require.NoError(t, run("present", apex, "-value"))
	require.Equal(t, []string{"-value"}, w.zone.TXT(apex))
	require.NoError(t, run("cleanup", apex, "-value"))
	require.NoError(t, run("present", "--", "example.org", "token", "token.thumbprint"))
	require.Equal(t, []string{acme.Digest("token.thumbprint")}, w.zone.TXT(apex))
	require.NoError(t, run("cleanup", "--", "example.org", "token", "token.thumbprint"))
	require.Empty(t, w.zone.TXT(apex))
	require.ErrorContains(t, run("present", "a", "b", "c"), "3 arguments")
	h.Dialect = acme.Lego
	require.ErrorContains(t, run("timeout"), "present or cleanup")
}

func TestDialectByName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := &acme.Hook{Solver: w.solver}
	err := h.Run(t.Context(), []string{"/usr/lib/certbot-hook", "deploy_challenge"}, dns01)
	require.ErrorContains(t, err, "CERTBOT_DOMAIN")
	h.Dialect = "acme.sh"
	require.ErrorContains(t, h.Run(t.Context(), []string{"x"}, dns01), `dialect "acme.sh"`)
}

func TestPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := &acme.Hook{Solver: w.solver, Reload: [][]string{{"systemctl", "reload", "nginx"}}}
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"", "deploy_challenge", "example.org", "t", "v"}, []string{`update add _acme-challenge.example.org. 60 TXT "v"`}},
		{[]string{"", "clean_challenge", "example.org", "t", "v"}, []string{`update delete _acme-challenge.example.org. TXT "v"`}},
		{[]string{"", "deploy_cert", "example.org"}, []string{"systemctl reload nginx"}},
		{[]string{"", "exit_hook"}, nil},
	} {
		plan, err := h.Plan(t.Context(), tt.args, dns01)
		require.NoError(t, err)
		require.Equal(t, tt.want, plan)
	}
	require.Empty(t, w.zone.TXT(apex))
}

// What dehydrated does not repeat is repeated with the next call.
func TestReloadUntilItSucceeds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	ready, done := filepath.Join(dir, "ready"), filepath.Join(dir, "done")
	h := &acme.Hook{Solver: w.solver, Reload: [][]string{{"test", "-e", ready}, {"touch", done}}}
	run := func(args ...string) error { return h.Run(t.Context(), append([]string{"hook"}, args...), dns01) }
	require.ErrorContains(t, run("deploy_cert", "example.org"), "tried again")
	require.ErrorContains(t, run("unchanged_cert", "example.org"), "tried again")
	require.NoError(t, os.WriteFile(ready, nil, 0o600))
	require.NoError(t, run("unchanged_cert", "example.com"))
	require.NoFileExists(t, done)
	require.NoError(t, run("unchanged_cert", "example.org"))
	require.FileExists(t, done)
	require.NoError(t, os.Remove(done))
	require.NoError(t, run("unchanged_cert", "example.org"))
	require.NoFileExists(t, done)
}

func FuzzHookArguments(f *testing.F) {
	f.Add("deploy_challenge", "example.org", "t", "v")
	f.Add("present", "--", "a", "b")
	f.Add("cleanup", "x", "y", "")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		for _, dialect := range []acme.Dialect{acme.Dehydrated, acme.Certbot, acme.Lego} {
			h := &acme.Hook{Solver: &acme.Solver{Provider: nil, Checker: &acme.Checker{Resolvers: []string{"nowhere"}}}, Dialect: dialect}
			_, err := h.Plan(t.Context(), []string{"hook", a, b, c, d}, env(map[string]string{"CERTBOT_DOMAIN": a, "CERTBOT_VALIDATION": b}))
			_ = fmt.Sprint(err)
		}
	})
}
