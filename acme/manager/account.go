package manager

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/berryrack/berryrack/acme"
)

// An ExternalAccount binds the account to one that exists already (RFC 8555
// section 7.3.4).
type ExternalAccount struct {
	KeyID string      // the authority's name of the key
	HMAC  acme.Secret // in base64url
}

// String returns the key's identifier.
func (e ExternalAccount) String() string { return e.KeyID }

// Format is for all verbs of package fmt: wrong ones print a pointer's fields
// without asking their methods.
func (e ExternalAccount) Format(f fmt.State, _ rune) { io.WriteString(f, e.String()) }

// KeyType is the kind of a certificate's key.
type KeyType string

// The key types.
const (
	EC256   KeyType = "ec256"
	EC384   KeyType = "ec384"
	RSA2048 KeyType = "rsa2048"
	RSA4096 KeyType = "rsa4096"
)

// generate returns the function that makes such a key.
func (k KeyType) generate() (func() (crypto.Signer, error), error) {
	ec := func(curve elliptic.Curve) func() (crypto.Signer, error) {
		return func() (crypto.Signer, error) { return ecdsa.GenerateKey(curve, rand.Reader) }
	}
	bits := func(n int) func() (crypto.Signer, error) {
		return func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, n) }
	}
	switch k {
	case "", EC256:
		return ec(elliptic.P256()), nil
	case EC384:
		return ec(elliptic.P384()), nil
	case RSA2048:
		return bits(2048), nil
	case RSA4096:
		return bits(4096), nil
	}
	return nil, fmt.Errorf("manager: key type %q: want ec256, ec384, rsa2048 or rsa4096", string(k))
}

// account is what is kept of one, beside its key.
type account struct {
	CA  string `json:"ca"`
	URL string `json:"url"`
}

// account connects to the authority with the account that there is, or a new one.
func (m *Manager) account(ctx context.Context) (*client, error) {
	// An authority that is slow to answer one does not have others wait for a lock.
	if key, err := m.readAccountKey(); err == nil {
		if a, err := m.readAccount(); err == nil {
			return m.connect(ctx, a.URL, key)
		}
	}
	unlock, err := (&acme.Journal{Dir: m.Dir}).Lock(ctx, "account")
	if err != nil {
		return nil, err
	}
	defer unlock()
	key, err := m.readAccountKey()
	if errors.Is(err, fs.ErrNotExist) {
		m.forgetAccount() // it is lost with its key
		key, err = m.newAccountKey()
	}
	if err != nil {
		return nil, err
	}
	a, err := m.readAccount()
	if err == nil { // another one was faster
		return m.connect(ctx, a.URL, key)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		m.log().Warn("the account's file is damaged; asking the authority", "file", m.accountPath(), "error", err)
	}
	c, err := m.connect(ctx, "", key)
	if err != nil {
		return nil, err
	}
	if a.URL, err = m.register(c); err != nil {
		return nil, fmt.Errorf("account at %s: %w", m.ca(), err)
	}
	a.CA, c.account = m.ca(), a.URL
	return c, m.writeJSON(m.accountPath(), a)
}

func (m *Manager) connect(ctx context.Context, account string, key crypto.Signer) (*client, error) {
	c, err := connect(ctx, m.Client, m.ca(), account, key)
	if err != nil {
		return nil, fmt.Errorf("certificate authority %s: %w", m.ca(), err)
	}
	return c, nil
}

func (m *Manager) accountPath() string { return filepath.Join(m.accountDir(), "account.json") }

func (m *Manager) readAccount() (account, error) {
	var a account
	err := m.readJSON(m.accountPath(), &a)
	if err == nil && a.URL == "" {
		err = errors.New("no URL in it")
	}
	if err != nil {
		return account{}, err
	}
	return a, nil
}

func (m *Manager) register(c *client) (string, error) {
	if terms := c.terms(); terms != "" && !m.AgreeTerms {
		return "", fmt.Errorf("read the terms of service at %s, and say that you agree", terms)
	}
	url, err := c.register(m.Email, m.AgreeTerms, m.External)
	if err == nil {
		m.log().Info("account", "url", url)
	}
	return url, err
}

// forgetAccount has the account registered again, by the next attempt.
func (m *Manager) forgetAccount() {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.unwritten, m.accountPath())
	os.Remove(m.accountPath())
}

func (m *Manager) accountKeyPath() string { return filepath.Join(m.accountDir(), "key.pem") }

func (m *Manager) readAccountKey() (crypto.Signer, error) {
	data, err := os.ReadFile(m.accountKeyPath())
	if err != nil {
		return nil, fmt.Errorf("account key: %w", err)
	}
	key, err := parseKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; without it the account is lost: restore the file, or remove its directory for a new account", m.accountKeyPath(), err)
	}
	return key, nil
}

// newAccountKey makes one. It is on disk before the authority hears of it.
func (m *Manager) newAccountKey() (crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	data, err := encodeKey(key)
	if err == nil {
		err = os.MkdirAll(m.accountDir(), 0o700)
	}
	if err == nil {
		err = writeFile(m.accountKeyPath(), data)
	}
	if err != nil {
		return nil, fmt.Errorf("account key: %w", err)
	}
	return key, nil
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// parseKey reads what encodeKey wrote. Its errors tell nothing of the content.
func parseKey(data []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("no PEM block in it")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("no private key in it")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("its key cannot sign")
	}
	return signer, nil
}
