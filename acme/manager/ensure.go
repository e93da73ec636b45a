package manager

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"time"

	"github.com/berryrack/berryrack/acme"
)

// maxReloadOutput is how much of a failing command's output an error tells.
const maxReloadOutput = 500

// ensure is Ensure for one certificate. With force it orders one that is not
// due; who is patient waits after failures.
func (m *Manager) ensure(ctx context.Context, c Certificate, force, patient bool) error {
	if err := c.Check(); err != nil {
		return err
	}
	if m.Dir == "" {
		return errors.New("manager: no directory for state is given")
	}
	unlock, err := m.lock(ctx, c.ID())
	if err != nil {
		return err
	}
	defer unlock()
	s := m.load(c)
	if err := s.withdraw(); err != nil { // of an earlier run
		m.log().Warn("files of http-01 are left", "certificate", c.ID(), "error", err)
	}
	current, err := m.current(c)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.log().Warn("the certificate in place cannot be used", "certificate", c.ID(), "error", err)
	}
	if err == nil && s.settled(current.leaf) {
		s.settle(current.leaf)
	}
	if err == nil {
		m.askRenewal(ctx, c, &s, current.leaf)
	}
	if err := m.permit(c, &s, current); err != nil {
		return err
	}
	at, _ := m.nextOrder(c, s, current)
	if force || current == nil && !patient || !at.After(m.now()) {
		if err := m.mayTry(c, s, patient); err != nil {
			return err
		}
		var leaf *x509.Certificate
		if current != nil {
			leaf = current.leaf
		}
		if err := m.attempt(ctx, c, &s, func(ctx context.Context) error { return m.replace(ctx, c, &s, leaf) }); err != nil {
			return err
		}
	}
	if !s.ReloadDue {
		return m.usable(c, s)
	}
	if patient && !due(s.NextTry, m.now()) {
		return &WaitError{c.ID(), s.NextTry, s.LastError}
	}
	return m.attempt(ctx, c, &s, func(ctx context.Context) error { return m.reload(ctx, c, &s) })
}

// attempt does something that may fail, and notes how it went.
func (m *Manager) attempt(ctx context.Context, c Certificate, s *state, do func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	err := do(limited)
	if err == nil {
		s.Failures, s.NextTry, s.NotBefore, s.LastError, s.LastErrorAt = 0, time.Time{}, time.Time{}, "", time.Time{}
		return m.save(c, *s)
	}
	err = fmt.Errorf("manager: %s: %w", c.ID(), err)
	if ctx.Err() != nil {
		return err // given up by the caller: nobody's failure
	}
	s.Failures++
	s.LastError, s.LastErrorAt = err.Error(), m.now()
	s.NextTry = m.now().Add(backoff(s.Failures))
	if wish := retryWish(err); wish > 0 {
		s.NotBefore = m.now().Add(wish)
	}
	return errors.Join(err, m.save(c, *s))
}

// retryWish returns how long the authority or the DNS host asks to wait.
func retryWish(err error) time.Duration {
	var wish time.Duration
	var p *Problem
	if errors.As(err, &p) {
		wish = p.RetryAfter
	}
	var api *acme.APIError
	if errors.As(err, &api) {
		wish = max(wish, api.RetryAfter)
	}
	return min(wish, maxWait)
}

// replace orders a certificate and puts it into its place.
func (m *Manager) replace(ctx context.Context, c Certificate, s *state, old *x509.Certificate) error {
	got, err := m.order(ctx, c, s, old)
	if err != nil {
		return err
	}
	s.ReloadDue, s.Access = len(c.Reload) > 0, c.access() // noted first: a crash must not lose it
	if err := m.save(c, *s); err != nil {
		return err
	}
	leaf, err := m.deploy(c, got)
	if err != nil {
		return err
	}
	m.log().Info("certificate", "name", c.ID(), "serial", serial(leaf), "expires", leaf.NotAfter)
	if !m.now().Before(leaf.NotAfter) || m.now().Before(leaf.NotBefore.Add(-maxSkew)) {
		m.log().Warn("the new certificate is not valid by this clock: is that right?", "name", c.ID(), "begins", leaf.NotBefore, "expires", leaf.NotAfter)
	}
	s.settle(leaf)
	return m.save(c, *s)
}

// reload runs the commands that are due.
func (m *Manager) reload(ctx context.Context, c Certificate, s *state) error {
	for _, command := range c.Reload {
		if err := run(ctx, command); err != nil {
			return fmt.Errorf("the new certificate is in its place, but %w; it is tried again", err)
		}
	}
	s.ReloadDue = false
	return nil
}

func run(ctx context.Context, command []string) error {
	if len(command) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.WaitDelay = time.Second
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, bytes.TrimSpace(output[:min(len(output), maxReloadOutput)]))
	}
	return nil
}

// usable returns an error when there is no certificate in place that is valid now,
// although it is too early for the next: then this clock is wrong, or the
// authority's.
func (m *Manager) usable(c Certificate, s state) error {
	current, err := m.current(c)
	next, why := m.nextOrder(c, s, current)
	if err != nil {
		return &WaitError{c.ID(), next, why}
	}
	if !m.now().Before(current.leaf.NotAfter) {
		return &WaitError{c.ID(), next, "the certificate in place ended at " + current.leaf.NotAfter.UTC().Format(time.RFC3339) + " by this clock: is that right?"}
	}
	return nil
}

// nextOrder returns when the next certificate is to be ordered, and why then. The
// current one is nil when there is none.
func (m *Manager) nextOrder(c Certificate, s state, current *loadedCertificate) (time.Time, string) {
	if current == nil {
		why := "there is none yet"
		if s.Origin.Serial != "" {
			why = "the last one is not in " + m.output()
		}
		return m.spaced(m.now(), s.Origin.Ordered.Add(lostSpacing), why)
	}
	leaf := current.leaf
	switch {
	case s.RevokedSerial == serial(leaf):
		return m.now(), "it is revoked"
	case !sameNames(leaf.DNSNames, c.names()):
		return m.now(), "other names are wanted"
	case m.foreign(s.Origin, leaf):
		return m.now(), "another authority or account is wanted"
	case s.Origin.CA != "" && s.Origin.Profile != c.Profile:
		return m.now(), "another profile is wanted"
	}
	at, why := renewal(leaf.NotBefore, leaf.NotAfter, s.Suggested)
	return m.spaced(at, s.Origin.Ordered.Add(spacing(leaf.NotAfter.Sub(leaf.NotBefore))), why)
}

// spaced puts an order off until the spacing allows it.
func (m *Manager) spaced(at, allowed time.Time, why string) (time.Time, string) {
	if at.Before(allowed) && !due(allowed, m.now()) {
		return allowed, why + ", but the last order is too recent"
	}
	return at, why
}

// foreign reports whether the current certificate is of another authority or
// account.
func (m *Manager) foreign(o origin, leaf *x509.Certificate) bool {
	if o.Serial != serial(leaf) || o.CA == "" {
		return false // nobody knows
	}
	a, err := m.readAccount()
	return o.CA != m.ca() || err == nil && o.Account != a.URL
}

// askRenewal asks the authority when to renew, if it is time to ask. Without an
// answer the one before holds.
func (m *Manager) askRenewal(ctx context.Context, c Certificate, s *state, leaf *x509.Certificate) {
	if s.Origin.Serial != serial(leaf) {
		s.Origin, s.Suggested, s.AskAgain = origin{Serial: serial(leaf)}, nil, time.Time{}
	}
	if !due(s.AskAgain, m.now()) || m.foreign(s.Origin, leaf) {
		return
	}
	suggested, retry, err := m.fetchRenewal(ctx, leaf)
	if ctx.Err() != nil {
		return // that is no answer
	}
	switch {
	case err == nil:
		s.Suggested = suggested.choose(s.Suggested)
	case errors.Is(err, errNoRenewalInfo):
		s.Suggested = nil
	default:
		m.log().Info("no renewal information", "certificate", c.ID(), "error", err)
	}
	s.AskAgain = m.now().Add(pollAfter(retry))
	if err := m.save(c, *s); err != nil {
		m.log().Warn("state could not be saved", "certificate", c.ID(), "error", err)
	}
}

func (m *Manager) fetchRenewal(ctx context.Context, leaf *x509.Certificate) (window, time.Duration, error) {
	// The question is not signed: the account's key is left alone, and lego has
	// another one.
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return window{}, 0, err
	}
	client, err := connect(ctx, m.Client, m.ca(), "", key)
	if err != nil {
		return window{}, 0, err
	}
	return client.renewalInfo(leaf)
}

// nextLook returns when Run should see to a certificate again.
func (m *Manager) nextLook(c Certificate) time.Time {
	now, s := m.now(), m.load(c)
	current, _ := m.current(c)
	at, _ := m.nextOrder(c, s, current)
	if s.ReloadDue {
		at = now
	}
	var wait *WaitError
	if errors.As(m.mayTry(c, s, true), &wait) && wait.Until.After(at) {
		at = wait.Until
	}
	if s.AskAgain.After(now) && s.AskAgain.Before(at) {
		at = s.AskAgain
	}
	if earliest := now.Add(minLook); at.Before(earliest) {
		return earliest
	}
	if latest := now.Add(maxWait); at.After(latest) {
		return latest
	}
	return at
}
