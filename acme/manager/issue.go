package manager

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/berryrack/berryrack/acme"
)

const (
	maxRequests = 8 // to the authority under way at once
	firstPoll   = 50 * time.Millisecond
	slowestPoll = 5 * time.Second
)

// issued is a certificate as it comes from the authority.
type issued struct {
	key   crypto.Signer
	chain []byte // PEM, the leaf first
}

// order gets a certificate: by an order that a crash has left, or a new one.
func (m *Manager) order(ctx context.Context, c Certificate, s *state, replaced *x509.Certificate) (*issued, error) {
	client, err := m.account(ctx)
	if err != nil {
		return nil, err
	}
	if got, err := m.resume(ctx, client, c, s); got != nil || err != nil {
		return got, err
	}
	got, err := m.newOrder(ctx, client, c, s, replaced)
	if isProblem(err, "accountDoesNotExist") {
		m.forgetAccount()
	}
	return got, err
}

func (m *Manager) newOrder(ctx context.Context, client *client, c Certificate, s *state, replaced *x509.Certificate) (*issued, error) {
	o, err := m.request(client, c, s, replaced)
	if err != nil {
		return nil, m.orderError(client, c, err)
	}
	m.log().Info("ordered", "certificate", c.ID(), "names", len(c.Names), "order", o.url)
	if err := m.prove(ctx, client, c, s, o); err != nil {
		return nil, err
	}
	generate, err := c.KeyType.generate()
	if err != nil {
		return nil, err
	}
	key, err := generate()
	if err != nil {
		return nil, err
	}
	encoded, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	s.Order = &pending{o.url, c.names(), encoded, origin{CA: m.ca(), Account: client.account, Profile: c.Profile, Ordered: m.now()}}
	if err := m.save(c, *s); err != nil {
		return nil, err
	}
	if err := m.finalize(client, c, o, key); err != nil {
		return nil, err
	}
	return m.fetch(ctx, client, c, s, key)
}

// request asks for an order that replaces a certificate of the same account (RFC
// 9773 section 5). An authority that does not know that one must not keep us
// from the next.
func (m *Manager) request(client *client, c Certificate, s *state, replaced *x509.Certificate) (order, error) {
	replacing := ""
	from := s.Origin
	if replaced != nil && from.Serial == serial(replaced) && from.CA == m.ca() && from.Account == client.account && s.RevokedSerial != from.Serial {
		replacing = replaces(replaced)
	}
	o, err := client.newOrder(c.names(), c.Profile, replacing)
	if replacing != "" && (isProblem(err, "malformed") || isProblem(err, "unauthorized")) {
		m.log().Info("the authority does not let the certificate be replaced", "certificate", c.ID(), "error", err)
		o, err = client.newOrder(c.names(), c.Profile, "")
	}
	return o, err
}

// orderError adds what there is to choose from.
func (m *Manager) orderError(client *client, c Certificate, err error) error {
	if c.Profile != "" && (isProblem(err, "invalidProfile") || isProblem(err, "malformed")) {
		return fmt.Errorf("profile %q: %w (profiles of the authority: %s)", c.Profile, err, strings.Join(client.profiles(), ", "))
	}
	return err
}

// resume gets the certificate of an order that is under way already: a failure
// of the network or of the disk is no reason for another order. It returns nil
// when there is none.
func (m *Manager) resume(ctx context.Context, client *client, c Certificate, s *state) (*issued, error) {
	if s.Order == nil {
		return nil, nil
	}
	key, err := parseKey(s.Order.Key)
	if err != nil || !m.useful(s.Order, c, client.account) {
		s.Order = nil
		return nil, nil
	}
	o, err := client.order(s.Order.URL)
	switch {
	case refused(err):
		s.Order = nil
		return nil, nil
	case err != nil:
		return nil, err
	case o.status == "ready":
		if err = m.save(c, *s); err == nil {
			err = m.finalize(client, c, o, key)
		}
	case o.status != "valid" && o.status != "processing":
		s.Order = nil
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m.log().Info("going on with an earlier order", "certificate", c.ID(), "order", o.url)
	return m.fetch(ctx, client, c, s, key)
}

func (m *Manager) finalize(client *client, c Certificate, o order, key crypto.Signer) error {
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: c.names()}, key)
	if err != nil {
		return err
	}
	return client.finalize(o, csr)
}

// useful reports whether a pending order is for what is wanted, and not so old
// that its certificate would not be a new one.
func (m *Manager) useful(p *pending, c Certificate, account string) bool {
	from := p.Origin
	return from.CA == m.ca() && from.Account == account && from.Profile == c.Profile && sameNames(p.Names, c.names()) &&
		m.now().Sub(from.Ordered).Abs() < maxWait
}

// fetch waits for the certificate of the pending order, which is finalized, and
// chooses its chain. An order that comes to nothing is pending no more.
func (m *Manager) fetch(ctx context.Context, client *client, c Certificate, s *state, key crypto.Signer) (*issued, error) {
	var o order
	err := poll(ctx, func() (bool, error) {
		var err error
		o, err = client.order(s.Order.URL)
		return o.status == "valid" || o.problem != nil, err
	})
	if err != nil {
		return nil, err
	}
	if o.problem != nil {
		s.Order = nil
		return nil, o.problem
	}
	chains, err := client.chains(o.certificate)
	if err != nil {
		return nil, fmt.Errorf("download of the certificate, which is tried again: %w", err)
	}
	chain := preferred(chains, c.PreferredChain)
	if err := fits(chain, c.names(), key); err != nil {
		s.Order = nil
		return nil, err
	}
	return &issued{key, chain}, nil
}

// preferred returns the first chain that ends at the named root, or the default.
func preferred(chains [][]byte, root string) []byte {
	for _, chain := range chains {
		certs, err := parseChain(chain)
		if root != "" && err == nil && certs[len(certs)-1].Issuer.CommonName == root {
			return chain
		}
	}
	return chains[0]
}

// fits checks that a certificate is for the key and the names.
func fits(chain []byte, names []string, key crypto.Signer) error {
	certs, err := parseChain(chain)
	if err != nil {
		return err
	}
	if !belongs(certs[0], key) {
		return errors.New("the authority's certificate is for another key")
	}
	if !sameNames(certs[0].DNSNames, names) {
		return fmt.Errorf("the authority's certificate is for %s", strings.Join(certs[0].DNSNames, " "))
	}
	return nil
}

// belongs reports whether a certificate is for a key.
func belongs(leaf *x509.Certificate, key crypto.Signer) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(leaf.PublicKey)
}

func parseChain(chain []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for block, rest := pem.Decode(chain); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate in it")
	}
	return certs, nil
}

// splitChain returns the leaf and the rest of a chain.
func splitChain(chain []byte) (leaf, rest []byte) {
	block, after := pem.Decode(chain)
	return pem.EncodeToMemory(block), bytes.TrimLeft(after, "\n")
}

// prove proves control of all names of an order at once: all records are
// published, waited for once, and then looked for.
func (m *Manager) prove(ctx context.Context, client *client, c Certificate, s *state, o order) error {
	if len(o.authz) > len(c.names()) {
		return fmt.Errorf("the authority asks for %d authorizations of %d names", len(o.authz), len(c.names()))
	}
	all, err := m.authorizations(client, o.authz)
	if err != nil {
		return err
	}
	for _, a := range all {
		if !slices.ContainsFunc(c.names(), func(name string) bool { return strings.TrimPrefix(name, "*.") == a.name }) {
			return fmt.Errorf("the authority asks for control of %q, which is not in the order", a.name)
		}
	}
	open := slices.DeleteFunc(all, func(a authorization) bool { return a.status == "valid" })
	if len(open) == 0 {
		return nil
	}
	withdraw, kind, err := m.present(ctx, c, s, open)
	if err != nil {
		m.giveUp(client, open)
		return err
	}
	defer func() {
		if err := withdraw(); err != nil {
			m.log().Warn("a challenge could not be withdrawn; the next run tries again", "certificate", c.ID(), "error", err)
		}
	}()
	if err := each(len(open), func(i int) error { return client.accept(open[i].challenges[kind]) }); err != nil {
		return err
	}
	return m.validated(ctx, client, open)
}

func (m *Manager) authorizations(client *client, urls []string) ([]authorization, error) {
	all := make([]authorization, len(urls))
	err := each(len(urls), func(i int) (err error) {
		all[i], err = client.authorization(urls[i])
		return err
	})
	return all, err
}

// giveUp tells the authority not to wait: open authorizations are limited.
func (m *Manager) giveUp(client *client, open []authorization) {
	if err := each(len(open), func(i int) error { return client.giveUp(open[i].url) }); err != nil {
		m.log().Info("authorizations stay open", "error", err)
	}
}

// present publishes the challenges, and returns what takes them back and their type.
func (m *Manager) present(ctx context.Context, c Certificate, s *state, open []authorization) (withdraw func() error, kind string, err error) {
	kind = "dns-01"
	if c.HTTP01 != nil {
		kind = "http-01"
	}
	for _, a := range open {
		if _, ok := a.challenges[kind]; !ok {
			return nil, "", fmt.Errorf("%s: the authority offers no %s", a.name, kind)
		}
	}
	if c.HTTP01 != nil {
		tokens := map[string]string{}
		for _, a := range open {
			tokens[a.challenges[kind].token] = a.challenges[kind].keyAuthorization
		}
		withdraw, err = m.presentHTTP(ctx, c, s, tokens)
		return withdraw, kind, err
	}
	if m.Solver == nil {
		return nil, "", errors.New("no provider for dns-01 is configured, and no http-01 for this certificate")
	}
	var challenges []acme.Challenge
	for _, a := range open {
		challenges = append(challenges, acme.Challenge{Domain: a.name, KeyAuthorization: a.challenges[kind].keyAuthorization})
	}
	if err := m.Solver.Publish(ctx, challenges...); err != nil {
		return nil, "", err
	}
	return func() error { return m.Solver.Withdraw(ctx, challenges...) }, kind, nil
}

// validated waits for the authority's verdict on all of them.
func (m *Manager) validated(ctx context.Context, client *client, open []authorization) error {
	problems := make([]error, len(open))
	err := each(len(open), func(i int) error {
		return poll(ctx, func() (bool, error) {
			a, err := client.authorization(open[i].url)
			if err != nil {
				return false, err
			}
			if a.status != "valid" && a.status != "pending" && a.status != "processing" {
				problems[i] = a.problem
				if a.problem == nil {
					problems[i] = errors.New("the authorization is " + a.status)
				}
				return true, nil
			}
			return a.status == "valid", nil
		})
	})
	failed := &ValidationError{}
	for i, p := range problems {
		if p != nil {
			failed.Names, failed.Problems = append(failed.Names, open[i].name), append(failed.Problems, p)
		}
	}
	if len(failed.Names) > 0 {
		if err := m.noteFailures(context.WithoutCancel(ctx), failed.Names); err != nil {
			m.log().Warn("failures could not be noted", "error", err)
		}
		return failed
	}
	return err
}

// poll asks, ever more slowly, until it is done.
func poll(ctx context.Context, ask func() (done bool, err error)) error {
	for wait := firstPoll; ; wait = min(wait*3/2, slowestPoll) {
		done, err := ask()
		if done || err != nil {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
}

// each calls do for 0 to n-1, a few at once, and returns all errors.
func each(n int, do func(int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxRequests)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = do(i)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
