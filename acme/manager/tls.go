package manager

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// GetCertificate implements [tls.Config].GetCertificate: it returns the current
// certificate for the name that a client asks for, of those among Certificates
// and those that Ensure was called for. A renewed one, by whichever process, is
// used from the next handshake on. It orders nothing.
func (m *Manager) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.TrimSuffix(strings.ToLower(hello.ServerName), ".")
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dirs == nil {
		m.index()
	}
	dir, ok := m.dirs[name]
	if !ok {
		// The wildcard is one label (RFC 9525 section 6.3).
		_, rest, _ := strings.Cut(name, ".")
		if dir, ok = m.dirs["*."+rest]; !ok {
			return nil, fmt.Errorf("manager: no certificate is kept for %q", name)
		}
	}
	loaded, err := m.cached(dir)
	if err != nil {
		return nil, fmt.Errorf("manager: certificate for %q: %w", name, err)
	}
	return &loaded.pair, nil
}

// index notes which directory has the certificate for each name: the first that
// is for it.
func (m *Manager) index() {
	m.dirs = map[string]string{}
	for _, c := range slices.Concat(m.Certificates, m.ensured) {
		for _, name := range c.names() {
			if m.dirs[name] == "" {
				m.dirs[name] = filepath.Join(m.output(), c.ID())
			}
		}
	}
}

// serve remembers what Ensure was called for.
func (m *Manager) serve(c Certificate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.ContainsFunc(m.ensured, func(o Certificate) bool { return slices.Equal(o.Names, c.Names) }) {
		m.ensured, m.dirs = append(m.ensured, c), nil
	}
}

// cached reads a certificate again only when the link points elsewhere.
func (m *Manager) cached(dir string) (*loadedCertificate, error) {
	version, err := os.Readlink(filepath.Join(dir, "current"))
	if err != nil {
		return nil, err
	}
	if have := m.loaded[dir]; have != nil && have.version == version {
		return have, nil
	}
	loaded, err := readCurrent(dir)
	if err != nil {
		return nil, err
	}
	if m.loaded == nil {
		m.loaded = map[string]*loadedCertificate{}
	}
	m.loaded[dir] = loaded
	return loaded, nil
}
