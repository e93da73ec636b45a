package certd

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/manager"
	"github.com/berryrack/berryrack/examples/internal/cli"
)

// Options are the flags that commands share.
type Options struct {
	Config string // file; "" is looked for
	State  string // directory; "" is the default
	Out    string // directory; "" is the command's default
	Log    *slog.Logger

	journal string // directory; "" is that of the state
}

// Order are the flags of get.
type Order struct {
	Options
	Names    []string
	DryRun   bool
	Staging  bool
	CA       string
	Simulate bool
	Email    string
	AgreeTOS bool
	Profile  string
}

func (o Options) state() string { return cmp.Or(o.State, defaultState) }

// manager makes a manager of a configuration.
func (s *site) manager(o Options) (*manager.Manager, error) {
	client, err := s.Account.client()
	if err != nil {
		return nil, err
	}
	m := &manager.Manager{
		Dir: o.state(), Output: cmp.Or(o.Out, o.state()), CA: s.Account.CA, Email: s.Account.Email, AgreeTerms: s.Account.AgreeTOS,
		External: s.external, Client: client, Logger: o.Log, Certificates: s.wanted(),
	}
	m.Solver = &acme.Solver{
		Provider: s.provider, Aliases: s.Aliases, TTL: s.TTL, Journal: &acme.Journal{Dir: cmp.Or(o.journal, o.state())}, Logger: o.Log,
		Checker: &acme.Checker{Resolvers: s.Resolvers, ConfirmResolvers: s.Confirm, Timeout: s.Timeout, Interval: s.Interval, Logger: o.Log},
	}
	return m, nil
}

// client returns one that trusts the roots of the file, nil when there is none.
func (a Account) client() (*http.Client, error) {
	if a.CAFile == "" {
		return nil, nil
	}
	roots, err := os.ReadFile(a.CAFile)
	if err != nil {
		return nil, &cli.UsageError{Err: err}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(roots) {
		return nil, &cli.UsageError{Err: fmt.Errorf("%s: no certificate in it", a.CAFile)}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, Proxy: http.ProxyFromEnvironment}}, nil
}

// Get ensures that there is a certificate for the names.
func Get(ctx context.Context, o Order, std cli.Streams) error {
	s, err := read(o.Config, std.Err)
	if err != nil {
		return err
	}
	s.Account.Email, s.Account.AgreeTOS = cmp.Or(o.Email, s.Account.Email), s.Account.AgreeTOS || o.AgreeTOS
	s.Account.CA = cmp.Or(o.CA, s.Account.CA)
	if o.Staging {
		s.Account.CA = manager.LetsEncryptStaging
	}
	o.Out = cmp.Or(o.Out, "certificates")
	wanted := manager.Certificate{Names: o.Names, Profile: o.Profile}
	if err := wanted.Check(); err != nil {
		return &cli.UsageError{Err: err}
	}
	if o.Simulate {
		temp, err := os.MkdirTemp("", "certd-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		o.State = temp
	}
	if o.DryRun {
		return s.rehearse(ctx, o, wanted, std)
	}
	m, stop, err := s.prepare(ctx, o, wanted, std.Err)
	if err != nil {
		return permitted(err)
	}
	defer stop()
	if err := m.Ensure(ctx, o.Names...); err != nil {
		return permitted(err)
	}
	fmt.Fprintln(std.Out, filepath.Join(o.Out, wanted.ID(), "current"))
	return nil
}

// like returns the wanted certificate with the options of the configured one of
// that name.
func (s *site) like(wanted manager.Certificate) manager.Certificate {
	for _, c := range s.Certificates {
		if like := c.wanted(); like.ID() == wanted.ID() {
			like.Names, like.Profile = wanted.Names, cmp.Or(wanted.Profile, like.Profile)
			return like
		}
	}
	return wanted
}

// prepare makes the manager that get uses, and starts what it needs.
func (s *site) prepare(ctx context.Context, o Order, wanted manager.Certificate, diagnostics io.Writer) (*manager.Manager, func(), error) {
	m, err := s.manager(o.Options)
	if err != nil {
		return nil, nil, err
	}
	m.Certificates = []manager.Certificate{s.like(wanted)}
	if o.Simulate && m.Certificates[0].Profile == "" {
		m.Certificates[0].Profile = "default" // pebble would choose one at random
	}
	if !o.Simulate {
		if err := discardSimulated(m); err != nil {
			return nil, nil, err
		}
		stop, err := s.respond(ctx, m, m.Certificates, func(err error) { fmt.Fprintln(diagnostics, "certd:", err) })
		return m, stop, err
	}
	if err := spareReal(o.Out, m.Certificates[0]); err != nil {
		return nil, nil, err
	}
	sim, err := Simulate(ctx, o.Names)
	if err != nil {
		return nil, nil, err
	}
	m.CA, m.Client, m.AgreeTerms = sim.URL, sim.Client, true
	m.Solver.Provider, m.Solver.Checker = sim.Responder, sim.Checker
	if !fresh(m, m.Certificates[0]) {
		err = addRoot(o.Out, sim.Root)
	}
	if err != nil {
		sim.Stop()
		return nil, nil, err
	}
	return m, sim.Stop, nil
}

// rehearse orders at the staging authority, in a temporary directory, and prints
// what would be done.
func (s *site) rehearse(ctx context.Context, o Order, wanted manager.Certificate, std cli.Streams) error {
	present, err := s.manager(o.Options)
	if err != nil {
		return err
	}
	if fresh(present, s.like(wanted)) && (o.Simulate || !simulated(o.Out, wanted)) {
		return nil
	}
	steps := s.steps(o, wanted)
	temp, err := os.MkdirTemp("", "certd-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	m, stop, err := s.prepare(ctx, s.rehearsal(o, temp), wanted, std.Err)
	if err != nil {
		return permitted(err)
	}
	defer stop()
	if err := m.Ensure(ctx, o.Names...); err != nil {
		return permitted(err)
	}
	fmt.Fprintf(std.Err, "certd: %s has issued it; that one is thrown away\n", m.CA)
	fmt.Fprintln(std.Out, strings.Join(steps, "\n"))
	return cli.ErrDifferent
}

// rehearsal returns the order with nothing in its place: but the journal stays
// where a later run will look for what this one leaves in the DNS.
func (s *site) rehearsal(o Order, temp string) Order {
	o.journal = o.state()
	o.State, o.Out = temp, filepath.Join(temp, "out")
	if s.Account.CA == "" || s.Account.CA == manager.LetsEncrypt {
		s.Account.CA = manager.LetsEncryptStaging
	}
	for i := range s.Certificates {
		s.Certificates[i].Reload = nil
	}
	return o
}

// fresh reports whether the certificate is there and not due.
func fresh(m *manager.Manager, wanted manager.Certificate) bool {
	m.Certificates = []manager.Certificate{wanted}
	status, err := m.Status()
	return err == nil && slices.ContainsFunc(status, func(st manager.Status) bool {
		return st.Name == wanted.ID() && !st.Expires.IsZero() && st.Renewal.After(time.Now()) && !st.ReloadDue
	})
}

// steps are what get would do, as a person would type it.
func (s *site) steps(o Order, wanted manager.Certificate) []string {
	steps := []string{
		"certd get --ca " + cmp.Or(s.Account.CA, manager.LetsEncrypt) + " " + strings.Join(o.Names, " "),
		"ln -sfn versions/NEW " + filepath.Join(o.Out, wanted.ID(), "current"),
	}
	for _, c := range s.Certificates {
		if c.wanted().ID() == wanted.ID() {
			for _, command := range c.Reload {
				steps = append(steps, strings.Join(command, " "))
			}
		}
	}
	return steps
}

// Renew replaces a certificate. The embedded responder must not run elsewhere.
func Renew(ctx context.Context, o Options, name string, std cli.Streams) error {
	s, m, err := configured(o, std)
	if err != nil {
		return err
	}
	stop, err := s.respond(ctx, m, named(m, name), func(err error) { fmt.Fprintln(std.Err, "certd:", err) })
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; if that is certd run, stop it for the while: it renews by itself when it is time", err)
	}
	if err != nil {
		return permitted(err)
	}
	defer stop()
	return permitted(m.Renew(ctx, name))
}

// named returns the certificate of a name: one that is configured, or one that
// is on disk.
func named(m *manager.Manager, name string) []manager.Certificate {
	id := manager.Certificate{Names: []string{name}}.ID()
	for _, c := range m.Certificates {
		if c.ID() == id {
			return []manager.Certificate{c}
		}
	}
	status, _ := m.Status() // what is wrong there, Renew will say
	for _, st := range status {
		if st.Name == id {
			return []manager.Certificate{{Names: st.Names}}
		}
	}
	return nil
}

// Revoke has the authority declare a certificate invalid, for a reason of RFC
// 5280 section 5.3.1.
func Revoke(ctx context.Context, o Options, name string, reason uint, std cli.Streams) error {
	_, m, err := configured(o, std)
	if err != nil {
		return err
	}
	return permitted(m.Revoke(ctx, name, reason))
}

// configured reads the configuration and makes its manager.
func configured(o Options, std cli.Streams) (*site, *manager.Manager, error) {
	s, err := read(o.Config, std.Err)
	if err != nil {
		return nil, nil, err
	}
	m, err := s.manager(o)
	return s, m, err
}

// permitted adds what to do when files may not be written.
func permitted(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; run this as root, or give it directories of its own with --state and --out", err)
	}
	return err
}

// Status prints that of all certificates.
func Status(o Options, asJSON bool, std cli.Streams) error {
	_, m, err := configured(o, std)
	if err != nil {
		return err
	}
	status, err := m.Status()
	if err != nil {
		return err
	}
	if asJSON {
		encoder := json.NewEncoder(std.Out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(append([]manager.Status{}, status...))
	}
	return table(std.Out, status)
}

// Due prints, as commands, what Run would do at once.
func Due(o Options, std cli.Streams) error {
	_, m, err := configured(o, std)
	if err != nil {
		return err
	}
	status, err := m.Status()
	if err != nil {
		return err
	}
	steps := 0
	for _, st := range status {
		wanted := slices.ContainsFunc(m.Certificates, func(c manager.Certificate) bool { return c.ID() == st.Name })
		if wanted && (st.ReloadDue || !st.Renewal.After(time.Now())) {
			fmt.Fprintf(std.Out, "certd renew %s    # %s\n", st.Name, st.Why)
			steps++
		}
	}
	if steps > 0 {
		return cli.ErrDifferent
	}
	return nil
}

func table(w io.Writer, status []manager.Status) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tEXPIRES\tRENEWAL\tWHY")
	for _, s := range status {
		expires := "none yet"
		if !s.Expires.IsZero() {
			expires = s.Expires.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", s.Name, expires, s.Renewal.UTC().Format(time.RFC3339), s.Why)
		if s.ReloadDue {
			fmt.Fprintln(t, "\t\t\treload commands have not succeeded yet")
		}
		if s.LastError != "" {
			fmt.Fprintf(t, "\t\t\tlast error, at %s: %s\n", s.ErrorAt.UTC().Format(time.RFC3339), strings.ReplaceAll(s.LastError, "\n", " "))
		}
	}
	return t.Flush()
}
