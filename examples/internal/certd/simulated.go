package certd

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/berryrack/berryrack/acme/manager"
	"github.com/berryrack/berryrack/examples/internal/cli"
)

// simulatedRoots is the file, beside the certificates, of the roots of all
// simulations there.
const simulatedRoots = "simulated-root.pem"

// simulated reports whether the certificate in place is one of a simulation: its
// authority has ended, and nobody trusts it.
func simulated(out string, c manager.Certificate) bool {
	roots := x509.NewCertPool()
	known, err := os.ReadFile(filepath.Join(out, simulatedRoots))
	if err != nil || !roots.AppendCertsFromPEM(known) {
		return false
	}
	chain, err := os.ReadFile(filepath.Join(currentLink(out, c), "fullchain.pem"))
	if err != nil {
		return false
	}
	block, rest := pem.Decode(chain)
	if block == nil {
		return false
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return false
	}
	between := x509.NewCertPool()
	between.AppendCertsFromPEM(rest)
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: leaf.NotBefore})
	return err == nil
}

func currentLink(out string, c manager.Certificate) string {
	return filepath.Join(out, c.ID(), "current")
}

// discardSimulated takes certificates of simulations out of their places, where
// they would keep real ones from being ordered.
func discardSimulated(m *manager.Manager) error {
	for _, c := range m.Certificates {
		if simulated(m.Output, c) {
			if err := os.Remove(currentLink(m.Output, c)); err != nil {
				return err
			}
		}
	}
	return nil
}

// spareReal refuses to put a certificate of a simulation into the place of a real
// one.
func spareReal(out string, c manager.Certificate) error {
	_, err := os.Lstat(currentLink(out, c))
	if errors.Is(err, fs.ErrNotExist) || simulated(out, c) {
		return nil
	}
	return &cli.UsageError{Err: fmt.Errorf("the certificate in %s is of no simulation: choose another --out", currentLink(out, c))}
}

// addRoot adds the root of a simulation to those whose certificates are there.
func addRoot(out string, root []byte) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(out, simulatedRoots), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(root)
	return errors.Join(err, f.Close())
}
