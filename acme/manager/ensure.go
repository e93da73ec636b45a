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
	current, err := m.current(c)
	if err == nil && s.settled(current.leaf) {
		s.settle(current.leaf)
	}
	if err == nil {
		m.askRenewal(ctx, c, &s, current.leaf)
	}
	if err != nil || force || m.orderDue(c, s, current.leaf) {
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
		return nil
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
	s.ReloadDue = len(c.Reload) > 0 // noted first: a crash must not lose it
	if err := m.save(c, *s); err != nil {
		return err
	}
	leaf, err := m.deploy(c, got)
	if err != nil {
		return err
	}
	m.log().Info("certificate", "name", c.ID(), "serial", serial(leaf), "expires", leaf.NotAfter)
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

// orderDue reports whether the current certificate does not do any more.
func (m *Manager) orderDue(c Certificate, s state, leaf *x509.Certificate) bool {
	at, _ := m.renewalOf(c, s, leaf)
	return !at.After(m.now())
}

// renewalOf returns when the current certificate is to be renewed, and why then.
func (m *Manager) renewalOf(c Certificate, s state, leaf *x509.Certificate) (time.Time, string) {
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
	return renewal(leaf.NotBefore, leaf.NotAfter, s.Suggested)
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
	s := m.load(c)
	current, err := m.current(c)
	var wait *WaitError
	if errors.As(m.mayTry(c, s, true), &wait) {
		return wait.Until
	}
	if err != nil || s.ReloadDue {
		return m.now().Add(firstBackoff)
	}
	at, _ := m.renewalOf(c, s, current.leaf)
	if s.AskAgain.Before(at) {
		at = s.AskAgain
	}
	if at.Before(m.now()) {
		return m.now().Add(firstPoll)
	}
	if limit := m.now().Add(maxWait); at.After(limit) {
		return limit
	}
	return at
}
