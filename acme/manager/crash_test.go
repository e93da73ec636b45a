package manager

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/acme"
)

// selfMade returns a certificate for example.org with a serial number.
func selfMade(t testing.TB, number int64, notBefore time.Time, life time.Duration) *issued {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(number), DNSNames: []string{"example.org"}, NotBefore: notBefore, NotAfter: notBefore.Add(life)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return &issued{key: key, chain: append(block, block...)}
}

var example = Certificate{Names: []string{"example.org"}}

const deployVar = "MANAGER_TEST_DEPLOY"

// TestDeployChild deploys, in a process of its own, and kills itself on the way.
func TestDeployChild(t *testing.T) {
	dir, ok := os.LookupEnv(deployVar)
	if !ok {
		t.Skip("runs in a process of its own")
	}
	m := &Manager{Dir: dir, step: func(step string) {
		if step == os.Getenv(deployVar+"_KILL") {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}}
	_, err := m.deploy(example, selfMade(t, 2, time.Now(), time.Hour))
	require.NoError(t, err)
}

// A kill -9 at any step of a deployment leaves the old certificate or the new
// one, whole.
func TestKilledAtEachStepOfADeployment(t *testing.T) {
	for _, tt := range []struct {
		step   string
		serial string
	}{
		{"before privkey.pem", "1"}, {"before cert.pem", "1"}, {"before chain.pem", "1"}, {"before fullchain.pem", "1"},
		{"before the version is there", "1"}, {"before the link", "1"}, {"before the switch", "1"}, {"switched", "2"}, {"none", "2"},
	} {
		t.Run(tt.step, func(t *testing.T) {
			m := &Manager{Dir: t.TempDir()}
			_, err := m.deploy(example, selfMade(t, 1, time.Now().Add(-time.Hour), 2*time.Hour))
			require.NoError(t, err)
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDeployChild$")
			cmd.Env = append(os.Environ(), deployVar+"="+m.Dir, deployVar+"_KILL="+tt.step)
			require.Equal(t, tt.step == "none", cmd.Run() == nil)
			current, err := m.current(example) // checks that the key is the certificate's
			require.NoError(t, err)
			require.Equal(t, tt.serial, serial(current.leaf))
			// The next deployment succeeds, and cleans up.
			_, err = m.deploy(example, selfMade(t, 3, time.Now(), time.Hour))
			require.NoError(t, err)
			left, err := filepath.Glob(filepath.Join(m.output(), "example.org", "*", tempPrefix+"*"))
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// Readers that look all the time see one version or another, never a mixture.
func TestReadersDuringDeployments(t *testing.T) {
	m := &Manager{Dir: t.TempDir()}
	_, err := m.deploy(example, selfMade(t, 1, time.Now(), time.Hour))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := m.current(example); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := int64(2); i < 12; i++ {
		_, err := m.deploy(example, selfMade(t, i, time.Now().Add(time.Duration(i)*time.Second), time.Hour))
		require.NoError(t, err)
	}
	cancel()
	wg.Wait()
	versions, err := os.ReadDir(filepath.Join(m.output(), "example.org", "versions"))
	require.NoError(t, err)
	require.Len(t, versions, keepVersions)
}

// A crash between the order and the deployment: the certificate is fetched, not
// ordered again.
func TestOrderIsResumed(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	ctx, cancel := context.WithCancel(t.Context())
	m.step = func(step string) {
		if step == "before the version is there" {
			cancel()
			panic("crash")
		}
	}
	require.PanicsWithValue(t, "crash", func() { m.Ensure(ctx, "example.org") })
	require.NoFileExists(t, filepath.Join(m.output(), "example.org", "current"))
	m.step = nil
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	require.Equal(t, 1, a.ordered())
	a.verify(t, m, "example.org", "example.org")
}

// Downloads that fail are repeated; the order is not.
func TestDownloadIsRepeated(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	for _, status := range []int{http.StatusNotFound, http.StatusBadGateway} {
		a.refuse("/certZ/", "serverInternal", "down", status, nil)
		require.ErrorContains(t, m.Ensure(t.Context(), "example.org"), "download of the certificate, which is tried again: down")
	}
	a.intercept(nil)
	m.Clock = func() time.Time { return time.Now().Add(-time.Minute) } // it was set
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	require.Equal(t, 1, a.ordered())
	a.verify(t, m, "example.org", "example.org")
}

// Nor is it when the finalization did not get through; one that the authority
// does not know any more is.
func TestFinalizationIsRepeated(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	a.refuse("/finalize-order/", "serverInternal", "down", http.StatusInternalServerError, nil)
	require.Error(t, m.Ensure(t.Context(), "example.org"))
	a.intercept(nil)
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	require.Equal(t, 1, a.ordered())

	a.refuse("/certZ/", "serverInternal", "down", http.StatusBadGateway, nil)
	require.Error(t, m.Renew(t.Context(), "example.org"))
	ordered := a.ordered()
	a.refuse("/my-order/", "malformed", "no such order", http.StatusNotFound, nil)
	require.Error(t, m.Renew(t.Context(), "example.org"))
	require.Greater(t, a.ordered(), ordered)
}

// A crash after the switch, before that is written down: the certificate in place
// is not taken for the next one.
func TestOrderIsSettled(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	m.step = func(step string) {
		if step == "switched" {
			panic("crash")
		}
	}
	require.PanicsWithValue(t, "crash", func() { m.Ensure(t.Context(), "example.org") })
	m.step = nil
	first := a.verify(t, m, "example.org", "example.org")
	require.NoError(t, m.Renew(t.Context(), "example.org"))
	require.NotEqual(t, first.SerialNumber, a.verify(t, m, "example.org", "example.org").SerialNumber)
	require.Equal(t, 2, a.ordered())
}

// An order that a crash has left is not taken up again when it is old.
func TestStaleOrderIsDropped(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	m.Certificates = []Certificate{{Names: []string{"example.org"}, Profile: "default"}}
	m.step = func(step string) {
		if step == "before the version is there" {
			panic("crash")
		}
	}
	require.PanicsWithValue(t, "crash", func() { m.Ensure(t.Context(), "example.org") })
	m.step = nil
	m.Clock = func() time.Time { return time.Now().Add(60 * 24 * time.Hour) }
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	require.Equal(t, 2, a.ordered())
}

func TestRenewal(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	at := func(days int) time.Time { return begin.Add(time.Duration(days) * day) }
	for _, tt := range []struct {
		life      int
		suggested *window
		want      time.Time
		why       string
	}{
		{90, nil, at(60), "a third of its life is left"},
		{6, nil, at(3), "half of its life is left"},
		{90, &window{Start: at(50), End: at(52), Chosen: at(51)}, at(51), "chosen in the authority's window from 2026-02-20T00:00:00Z to 2026-02-22T00:00:00Z"},
		{90, &window{Start: at(100), End: at(102), Chosen: at(101)}, at(60), "a third of its life is left"}, // after its end
	} {
		got, why := renewal(begin, at(tt.life), tt.suggested)
		require.Equal(t, tt.want, got)
		require.Equal(t, tt.why, why)
	}
	w := window{Start: at(1), End: at(2)}
	for range 100 {
		chosen := w.choose(nil)
		require.False(t, chosen.Chosen.Before(w.Start) || chosen.Chosen.After(w.End))
		require.Equal(t, chosen.Chosen, w.choose(chosen).Chosen, "the choice stays")
	}
}

func TestBackoff(t *testing.T) {
	require.Equal(t, []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 24 * time.Hour}, []time.Duration{backoff(1), backoff(2), backoff(3), backoff(100)})
	now := time.Now()
	ago := func(minutes ...int) (times []time.Time) {
		for _, m := range minutes {
			times = append(times, now.Add(-time.Duration(m)*time.Minute))
		}
		return times
	}
	require.True(t, nameLimit(ago(50, 40, 30, 20), now).IsZero())
	require.Equal(t, now.Add(10*time.Minute), nameLimit(ago(50, 40, 30, 20, 10), now))
	require.True(t, nameLimit(ago(61, 40, 30, 20, 10), now).IsZero())
	require.True(t, nameLimit(ago(-9999, -9998, -9997, -9996, -9995), now).IsZero(), "a clock that was ahead")
}

// Run orders what is missing and renews what is due, and ends with its context.
func TestRun(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	for i := range 3 {
		m.Certificates = append(m.Certificates, Certificate{Names: []string{fmt.Sprintf("host%d.example.org", i)}})
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	eventually(t, func() bool {
		status := m.mustStatus(t)
		return !status[0].Expires.IsZero() && !status[1].Expires.IsZero() && !status[2].Expires.IsZero()
	})
	first, err := m.current(m.Certificates[0])
	require.NoError(t, err)
	cancel()
	require.NoError(t, <-done)

	// The authority wants one replaced; after a restart it is.
	a.suggest(t, m.leafPEM(t, "host0.example.org"), time.Now().Add(-time.Hour), time.Now().Add(-time.Minute))
	again := a.manager(t)
	again.Dir, again.Certificates = m.Dir, m.Certificates
	again.Clock = func() time.Time { return time.Now().Add(7 * time.Hour) }
	ctx, cancel = context.WithCancel(t.Context())
	go func() { done <- again.Run(ctx) }()
	eventually(t, func() bool {
		current, err := m.current(m.Certificates[0])
		return err == nil && serial(current.leaf) != serial(first.leaf)
	})
	cancel()
	require.NoError(t, <-done)

	m.Certificates = append(m.Certificates, Certificate{Names: []string{"Host0.example.org"}}, Certificate{})
	err = m.Run(t.Context())
	require.ErrorContains(t, err, "two certificates named host0.example.org")
	require.ErrorContains(t, err, "1 to 100 names")
}

// One certificate whose record takes for ever to show does not keep the others
// waiting.
func TestSlowCertificate(t *testing.T) {
	a := newAuthority(t, options{})
	begun := make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	a.Mangle = func(_ netip.Addr, answer *dns.Msg) *dns.Msg {
		if answer.Question[0].Qtype == dns.TypeTXT && strings.Contains(answer.Question[0].Name, "slow") && len(answer.Answer) > 0 {
			begin()
			answer.Answer = nil
		}
		return answer
	}
	m := a.manager(t)
	m.Solver.Checker.Timeout = time.Hour
	m.Certificates = []Certificate{{Names: []string{"slow.example.org"}}, {Names: []string{"quick.example.org"}}}
	require.NoError(t, m.save(m.Certificates[1], state{Failures: 1, NextTry: time.Now().Add(time.Second)}))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	<-begun
	eventually(t, func() bool { _, err := m.current(m.Certificates[1]); return err == nil })
	cancel()
	require.NoError(t, <-done)
}

// A challenge that could not be withdrawn is removed by Run.
func TestRunReaps(t *testing.T) {
	a := newAuthority(t, options{})
	m := a.manager(t)
	provider := &stubborn{Provider: a.Provider()}
	m.Solver.Provider = provider
	require.NoError(t, m.Ensure(t.Context(), "example.org"))
	require.Len(t, a.zone.TXT("_acme-challenge.example.org."), 1)
	provider.gone.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	eventually(t, func() bool { return len(a.zone.TXT("_acme-challenge.example.org.")) == 0 })
	cancel()
	require.NoError(t, <-done)
}

// stubborn is a provider that deletes nothing until it gives way.
type stubborn struct {
	acme.Provider
	gone atomic.Bool
}

func (s *stubborn) DeleteTXT(ctx context.Context, r acme.Record) error {
	if !s.gone.Load() {
		return errors.New("out of order")
	}
	return s.Provider.DeleteTXT(ctx, r)
}

func eventually(t testing.TB, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		require.True(t, time.Now().Before(deadline), "not in time")
	}
}

// What a crash has left is found whatever the place is called.
func TestPruneWhereTheNameIsAPattern(t *testing.T) {
	for _, name := range []string{"[ab]", "["} {
		dir := filepath.Join(t.TempDir(), name)
		left := filepath.Join(dir, "versions", tempPrefix+"1")
		require.NoError(t, os.MkdirAll(left, 0o700))
		require.NoError(t, prune(dir, "current"))
		require.NoDirExists(t, left)
	}
}
