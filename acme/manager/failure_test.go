package manager

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/acme/acmetest"
)

// The authority sees another value than the authoritative servers have: it is
// asked five times in an hour and not six.
func TestFailingValidations(t *testing.T) {
	a := newAuthority(t, options{})
	var lie atomic.Bool
	a.Mangle = func(server netip.Addr, answer *dns.Msg) *dns.Msg {
		if lie.Load() && server == netip.MustParseAddrPort(acmetest.ResolverAddress).Addr() && answer.Question[0].Qtype == dns.TypeTXT {
			answer.Answer = nil
		}
		return answer
	}
	m := a.manager(t)
	now := time.Now()
	m.Clock = func() time.Time { return now }
	lie.Store(true)
	for i := range 5 {
		err := m.Ensure(t.Context(), "example.org", "www.example.org")
		var failed *ValidationError
		require.ErrorAs(t, err, &failed, i)
		require.ElementsMatch(t, []string{"example.org", "www.example.org"}, failed.Names)
		require.ErrorContains(t, err, "unauthorized")
		require.ErrorContains(t, err, "points of view")
	}
	restarted := a.manager(t)
	restarted.Dir, restarted.Solver, restarted.Clock = m.Dir, m.Solver, m.Clock
	var wait *WaitError
	require.ErrorAs(t, restarted.Ensure(t.Context(), "www.example.org"), &wait, "another certificate with the name, after a restart")
	require.Equal(t, now.Add(time.Hour).Unix(), wait.Until.Unix())
	require.ErrorAs(t, restarted.Ensure(t.Context(), "*.example.org"), &wait, "nor its wildcard, which is proved by the same record")
	require.Equal(t, 5, a.ordered())
	now = now.Add(time.Hour + time.Second)
	lie.Store(false)
	require.NoError(t, restarted.Ensure(t.Context(), "www.example.org"))
}

func TestRateLimited(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	now := time.Now()
	m.Clock = func() time.Time { return now }
	a.refuse("/order-plz", "rateLimited", "too many certificates", http.StatusTooManyRequests, http.Header{"Retry-After": {"7200"}})
	err := m.Ensure(t.Context(), "example.org")
	require.ErrorContains(t, err, "too many certificates (rateLimited), try again in 2h0m0s; wait")
	a.intercept(nil)
	var wait *WaitError
	require.ErrorAs(t, m.Ensure(t.Context(), "example.org"), &wait)
	require.WithinDuration(t, now.Add(2*time.Hour), wait.Until, time.Minute)
	require.Equal(t, wait.Until.Unix(), m.mustStatus(t)[0].Renewal.Unix())
	now = now.Add(3 * time.Hour)
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
}

// What the authority quotes does not reach a terminal as it is.
func TestAuthorityWithControlCharacters(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	a.refuse("/order-plz", "rejectedIdentifier", "no\u009b1m\nyes", http.StatusForbidden, nil)
	err := m.Ensure(t.Context(), "example.org")
	require.ErrorContains(t, err, "no 1m yes (rejectedIdentifier)")
	require.NotContains(t, m.mustStatus(t)[0].LastError, "\u009b")
}

// The authority's wish counts with any status, and from what stands before it.
func TestRetryAfter(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"problem": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"type":"urn:ietf:params:acme:error:serverInternal","detail":"maintenance"}`)
		},
		"proxy": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, "<html>maintenance</html>")
		},
	} {
		for _, path := range []string{"/order-plz", "/dir"} {
			t.Run(name+path, func(t *testing.T) {
				a := newAuthority(t, options{})
				m := a.manager(t)
				a.intercept(func(w http.ResponseWriter, r *http.Request) bool {
					if r.URL.Path != path {
						return false
					}
					w.Header().Set("Retry-After", "7200")
					answer(w, r)
					return true
				})
				require.ErrorContains(t, m.Ensure(t.Context(), "example.org"), "try again in 2h0m0s")
				a.intercept(nil)
				var wait *WaitError
				require.ErrorAs(t, m.Ensure(t.Context(), "example.org"), &wait)
				require.WithinDuration(t, time.Now().Add(2*time.Hour), wait.Until, time.Minute)
			})
		}
	}
}

// An answer without end is read up to a limit.
func TestEndlessAnswer(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	a.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		for i := 0; i < 100 && r.URL.Path == "/dir"; i++ {
			w.Write(bytes.Repeat([]byte(" "), maxAnswer/10))
		}
		return r.URL.Path == "/dir"
	})
	require.ErrorContains(t, m.Ensure(t.Context(), "example.org"), "too large")
	for _, detail := range []string{strings.Repeat("no ", 10_000), strings.Repeat("\x00", 10_000)} {
		a.refuse("/dir", "serverInternal", detail, http.StatusInternalServerError, nil)
		require.Less(t, len(m.Ensure(t.Context(), "example.org").Error()), 2*maxText)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	a := newAuthority(t, options{})
	for _, tt := range []struct {
		name   string
		spoil  func(*Manager)
		domain string
		says   string
	}{
		{"CAA forbids", func(*Manager) {
			a.refuse("/order-plz", "caa", "CAA record prevents issuance", http.StatusForbidden, nil)
		}, "example.org", "add its name to the CAA records"},
		{"NXDOMAIN zone", func(*Manager) {}, "example.invalid", "spelt right and delegated"},
		{"blocked name", func(*Manager) {
			a.refuse("/order-plz", "rejectedIdentifier", "a policy forbids it", http.StatusForbidden, nil)
		}, "example.org", "issues nothing for this name"},
		{"unreachable authority", func(m *Manager) { m.CA = "https://127.0.0.1:1/dir" }, "example.org", "certificate authority https://127.0.0.1:1/dir"},
		{"http instead of https", func(m *Manager) { m.CA = "http://127.0.0.1:1/dir" }, "example.org", "HTTPS"},
		{"no provider", func(m *Manager) { m.Solver = nil }, "example.org", "no provider for dns-01"},
		{"long name", func(m *Manager) {}, strings.Repeat("a.", 110) + "org", "put one first"},
		{"no name", func(m *Manager) {}, "localhost", "no name that a certificate can be for"},
		{"damaged account key", func(m *Manager) {
			require.NoError(t, os.MkdirAll(m.accountDir(), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(m.accountDir(), "key.pem"), []byte("secret"), 0o600))
		}, "example.org", "restore the file"},
		{"reload fails", func(m *Manager) {
			m.Certificates = []Certificate{{Names: []string{"example.org"}, Reload: [][]string{{"false"}}}}
		}, "example.org", "in its place"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := a.manager(t)
			tt.spoil(m)
			err := m.Ensure(t.Context(), tt.domain)
			a.intercept(nil)
			require.ErrorContains(t, err, tt.says)
			require.NotContains(t, err.Error(), "secret")
		})
	}
}

// A full disk at the deployment loses nothing: the certificate is fetched again.
func TestDiskFull(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	m.Output = filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(m.Output, nil, 0o600))
	require.ErrorContains(t, m.Ensure(t.Context(), "example.org"), "fetched again")
	require.NoError(t, os.Remove(m.Output))
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	require.Equal(t, 1, a.ordered())
}

// State that cannot be written is remembered all the same: the failures count, and
// the authority's wish is heeded.
func TestStateCannotBeWritten(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	c := Certificate{Names: []string{"example.org"}}
	for _, path := range []string{m.statePath(c), m.failuresPath()} {
		require.NoError(t, os.MkdirAll(filepath.Join(path, "in the way"), 0o700))
	}
	now := time.Now()
	m.Clock = func() time.Time { return now }
	a.refuse("/order-plz", "serverInternal", "down", http.StatusInternalServerError, nil)
	require.ErrorContains(t, m.ensure(t.Context(), c, false, true), "file exists")
	var wait *WaitError
	require.ErrorAs(t, m.ensure(t.Context(), c, false, true), &wait)
	require.Equal(t, now.Add(time.Minute).Unix(), wait.Until.Unix())
	require.Equal(t, wait.Until.Unix(), m.nextLook(c).Unix())
	for range 5 {
		require.Error(t, m.noteFailures(t.Context(), []string{"example.org"}))
	}
	now = now.Add(2 * time.Minute)
	require.ErrorAs(t, m.Ensure(t.Context(), "example.org"), &wait)
	require.Equal(t, 1, a.ordered())

	// When there is room again it is written.
	require.NoError(t, os.RemoveAll(m.statePath(c)))
	require.NoError(t, os.RemoveAll(m.failuresPath()))
	a.intercept(nil)
	now = now.Add(time.Hour)
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	require.FileExists(t, m.statePath(c))
}

func TestReloadUntilItSucceeds(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	ready := filepath.Join(t.TempDir(), "ready")
	m.Certificates = []Certificate{{Names: []string{"example.org"}, Reload: [][]string{{"test", "-e", ready}}}}
	require.ErrorContains(t, m.Ensure(t.Context(), "example.org"), "tried again")
	require.True(t, m.mustStatus(t)[0].ReloadDue)
	require.Error(t, m.Ensure(t.Context(), "example.org"))
	require.NoError(t, os.WriteFile(ready, nil, 0o600))
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	require.False(t, m.mustStatus(t)[0].ReloadDue)
	require.Equal(t, 1, a.ordered())
}

// A clock that is a week ahead has every certificate of six days look ended: it
// is said, and four are ordered a day.
func TestClockAhead(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	var log bytes.Buffer
	m.Logger = slog.New(slog.NewTextHandler(&log, nil))
	ahead := 7 * 24 * time.Hour
	m.Clock = func() time.Time { return time.Now().Add(ahead) }
	m.Certificates = []Certificate{{Names: []string{"example.org"}, Profile: "shortlived"}}
	for range 3 {
		require.ErrorContains(t, m.Ensure(t.Context(), "example.org"), "by this clock: is that right?")
		require.ErrorContains(t, m.ensure(t.Context(), m.Certificates[0], false, true), "by this clock")
	}
	require.Equal(t, 1, a.ordered())
	require.Greater(t, m.nextLook(m.Certificates[0]).Sub(m.now()), 5*time.Hour)
	require.Contains(t, log.String(), "not valid by this clock")
	ahead += maxSpacing
	require.Error(t, m.Ensure(t.Context(), "example.org"))
	require.Equal(t, 2, a.ordered())
	ahead = 0
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	require.Equal(t, 2, a.ordered())
}

// An authority whose windows have always passed gets no endless orders.
func TestWindowsThatHaveAlwaysPassed(t *testing.T) {
	a := newAuthority(t, options{})
	a.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/draft-ietf-acme-ari-03/renewalInfo/") {
			return false
		}
		fmt.Fprint(w, `{"suggestedWindow": {"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"}}`)
		return true
	})
	m := a.manager(t)
	for range 3 {
		require.NoError(t, m.Ensure(t.Context(), "example.org"))
	}
	require.Equal(t, 1, a.ordered())
	require.Contains(t, m.mustStatus(t)[0].Why, "the last order is too recent")
	m.Clock = func() time.Time { return time.Now().Add(maxSpacing) }
	for range 3 {
		require.NoError(t, m.Ensure(t.Context(), "example.org"))
	}
	require.Equal(t, 2, a.ordered())
}

// Where certificates vanish, Run does not order without end; who asks gets one.
func TestCertificatesVanish(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	c := Certificate{Names: []string{"example.org"}}
	require.NoError(t, m.ensure(t.Context(), c, false, true))
	require.NoError(t, os.RemoveAll(m.output()))
	var wait *WaitError
	require.ErrorAs(t, m.ensure(t.Context(), c, false, true), &wait)
	require.WithinDuration(t, time.Now().Add(lostSpacing), wait.Until, time.Minute)
	require.Equal(t, wait.Until.Unix(), m.nextLook(c).Unix())
	require.Contains(t, m.mustStatus(t)[0].Why, "the last one is not in "+m.output())
	require.Equal(t, 1, a.ordered())
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	require.NoError(t, os.RemoveAll(m.output()))
	m.Clock = func() time.Time { return time.Now().Add(lostSpacing) }
	require.NoError(t, m.ensure(t.Context(), c, false, true))
}

// A clock that jumps does not stop anything: neither back nor forth.
func TestClockJumps(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	m.Clock = func() time.Time { return time.Now().Add(7 * 24 * time.Hour) }
	a.refuse("/order-plz", "serverInternal", "down", http.StatusInternalServerError, http.Header{"Retry-After": {"3600"}})
	require.Error(t, m.ensure(t.Context(), m.wanted([]string{"example.org"}), false, true))
	a.intercept(nil)
	var wait *WaitError
	require.ErrorAs(t, m.ensure(t.Context(), m.wanted([]string{"example.org"}), false, true), &wait)
	m.Clock = nil // it was a week ahead
	require.NoError(t, m.ensure(t.Context(), m.wanted([]string{"example.org"}), false, true))
	m.Clock = func() time.Time { return time.Now().Add(-7 * 24 * time.Hour) }
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	require.Equal(t, 2, a.ordered())
}
