package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/manager"
	"github.com/berryrack/berryrack/examples/internal/certd"
)

// authority is a certificate authority and what keeps a certificate of it: the
// manager of package acme, which answers dns-01 by the embedded responder.
type authority struct {
	*certd.Simulation
	manager *manager.Manager
	output  string
}

func newAuthority(ctx context.Context, dir, name string) (*authority, error) {
	simulation, err := certd.Simulate(ctx, []string{name})
	if err != nil {
		return nil, err
	}
	a := &authority{Simulation: simulation, output: filepath.Join(dir, "certificates")}
	a.Checker.Timeout = 30 * time.Second
	journal := &acme.Journal{Dir: filepath.Join(dir, "certd")}
	a.manager = &manager.Manager{
		Dir: journal.Dir, Output: a.output, CA: a.URL, AgreeTerms: true, Client: a.Client,
		Solver:       &acme.Solver{Provider: a.Responder, Checker: a.Checker, Journal: journal},
		Certificates: []manager.Certificate{{Names: []string{name}}},
	}
	return a, a.manager.Ensure(ctx, name)
}

// install puts the certificate and its key where roots take them from.
func (a *authority) install(name, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, file := range []string{"privkey.pem", "fullchain.pem"} {
		data, err := os.ReadFile(filepath.Join(a.output, name, "current", file))
		if err != nil {
			return err
		}
		staged := filepath.Join(dir, file+".new")
		if err := os.WriteFile(staged, data, 0o600); err != nil {
			return err
		}
		if err := os.Rename(staged, filepath.Join(dir, file)); err != nil {
			return err
		}
	}
	return nil
}
