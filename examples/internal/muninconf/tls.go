package muninconf

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/berryrack/berryrack/munin"
)

// What munin takes when munin.conf says nothing.
const (
	defaultPair = "/etc/munin/munin.pem"
	defaultCA   = "/etc/munin/cacert.pem"
)

// keys reads certificates, each file once.
type keys map[munin.TLS]*tls.Config

// config returns how the master would speak TLS to a host, nil when it would
// not. tls_match, a Perl expression, is not looked at.
func (k keys) config(h, all *munin.TLS) (config *tls.Config, optional bool, err error) {
	t := merged(h, all)
	if t.Mode == "" || t.Mode == munin.TLSDisabled {
		return nil, false, nil
	}
	if config = k[t]; config == nil {
		if config, err = newTLS(t); err != nil {
			return nil, false, err
		}
		k[t] = config
	}
	return config, t.Mode == munin.TLSAuto, nil
}

// merged is a host's TLS with the rest from that of all hosts.
func merged(h, all *munin.TLS) munin.TLS {
	var t, d munin.TLS
	if h != nil {
		t = *h
	}
	if all != nil {
		d = *all
	}
	return munin.TLS{
		Mode: cmp.Or(t.Mode, d.Mode), Certificate: cmp.Or(t.Certificate, d.Certificate), PrivateKey: cmp.Or(t.PrivateKey, d.PrivateKey),
		CACertificate: cmp.Or(t.CACertificate, d.CACertificate), VerifyCertificate: t.VerifyCertificate || d.VerifyCertificate,
	}
}

func newTLS(t munin.TLS) (*tls.Config, error) {
	// munin compares no name: who signed is all that it verifies.
	config := &tls.Config{InsecureSkipVerify: true, ClientAuth: tls.RequestClientCert}
	certificate := cmp.Or(t.Certificate, defaultPair)
	pair, err := tls.LoadX509KeyPair(certificate, cmp.Or(t.PrivateKey, certificate))
	switch {
	case err == nil:
		config.Certificates = []tls.Certificate{pair}
	case t.Certificate != "" || t.PrivateKey != "" || !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("tls_certificate %s: %w", certificate, err)
	}
	if !t.VerifyCertificate && t.Mode != munin.TLSParanoid {
		return config, nil
	}
	ca := cmp.Or(t.CACertificate, defaultCA)
	text, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("tls_ca_certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("tls_ca_certificate: %s: no certificate in it", ca)
	}
	config.VerifyConnection = func(state tls.ConnectionState) error { return verify(state.PeerCertificates, roots) }
	return config, nil
}

func verify(chain []*x509.Certificate, roots *x509.CertPool) error {
	if len(chain) == 0 {
		return errors.New("the node has shown no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err
}
