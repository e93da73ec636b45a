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
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/embedded"
	"github.com/berryrack/berryrack/acme/manager"
	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/daemon"
)

// Options are the flags that commands share.
type Options struct {
	Config string // file; "" is looked for
	State  string // directory; "" is the default
	Out    string // directory; "" is the command's default
	Log    *slog.Logger
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
		External: s.external, Client: client, Logger: o.Log,
	}
	for _, c := range s.Certificates {
		m.Certificates = append(m.Certificates, c.wanted())
	}
	m.Solver = &acme.Solver{
		Provider: s.provider, Aliases: s.Aliases, TTL: s.TTL, Journal: &acme.Journal{Dir: o.state()}, Logger: o.Log,
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

// respond runs the embedded responder, if that is the provider, until stop is
// called; failed hears when it cannot go on.
func (s *site) respond(ctx context.Context, m *manager.Manager, failed func(error)) (stop func(), err error) {
	if s.embedded == nil {
		return func() {}, nil
	}
	e := s.embedded
	responder := &embedded.Responder{Zones: e.zones(m.Certificates), Nameserver: e.Nameserver, Addresses: e.Addresses}
	m.Solver.Provider = responder
	packets, streams, err := embedded.Listen(ctx, e.Listen)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := responder.Serve(ctx, packets, streams); err != nil && ctx.Err() == nil {
			failed(err)
		}
	}()
	return func() { cancel(); <-done }, nil
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
		stop, err := s.respond(ctx, m, func(err error) { fmt.Fprintln(diagnostics, "certd:", err) })
		return m, stop, err
	}
	sim, err := Simulate(ctx, o.Names)
	if err != nil {
		return nil, nil, err
	}
	m.CA, m.Client, m.AgreeTerms = sim.URL, sim.Client, true
	m.Solver.Provider, m.Solver.Checker = sim.Responder, sim.Checker
	err = os.MkdirAll(o.Out, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(o.Out, "simulated-root.pem"), sim.Root, 0o644)
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
	if fresh(present, wanted) {
		return nil
	}
	steps := s.steps(o, wanted)
	temp, err := os.MkdirTemp("", "certd-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	o.State, o.Out = temp, filepath.Join(temp, "out")
	if s.Account.CA == "" || s.Account.CA == manager.LetsEncrypt {
		s.Account.CA = manager.LetsEncryptStaging
	}
	for i := range s.Certificates {
		s.Certificates[i].Reload = nil
	}
	m, stop, err := s.prepare(ctx, o, wanted, std.Err)
	if err != nil {
		return err
	}
	defer stop()
	if err := m.Ensure(ctx, o.Names...); err != nil {
		return err
	}
	fmt.Fprintf(std.Err, "certd: %s has issued it; that one is thrown away\n", m.CA)
	fmt.Fprintln(std.Out, strings.Join(steps, "\n"))
	return cli.ErrDifferent
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
	stop, err := s.respond(ctx, m, func(err error) { fmt.Fprintln(std.Err, "certd:", err) })
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; if that is certd run, stop it for the while: it renews by itself when it is time", err)
	}
	if err != nil {
		return permitted(err)
	}
	defer stop()
	return permitted(m.Renew(ctx, name))
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

// keeper keeps the certificates of a configuration, and of the next one.
type keeper struct {
	options Options

	mu      sync.Mutex
	current *manager.Manager
	next    chan *site
}

// Run keeps the certificates of the configuration until ctx ends.
func Run(ctx context.Context, o Options, flags daemon.Flags, std cli.Streams) error {
	s, err := read(o.Config, std.Err)
	if err != nil {
		return err
	}
	if len(s.Certificates) == 0 {
		return &cli.UsageError{Err: errors.New("no certificates are configured: name some under certificates in certd.yaml")}
	}
	k := &keeper{options: o, next: make(chan *site, 1)}
	k.next <- s
	return daemon.Service{Run: k.run, Reload: k.reload, Figures: k.figures, Logger: o.Log}.Serve(ctx, flags)
}

func (k *keeper) reload(ctx context.Context) error {
	s, err := read(k.options.Config, io.Discard)
	if err == nil {
		_, err = s.manager(k.options)
	}
	if err != nil {
		return err
	}
	select {
	case k.next <- s:
	case <-ctx.Done():
	}
	return nil
}

// run keeps what one configuration wants, until there is another.
func (k *keeper) run(ctx context.Context, ready func()) error {
	s := <-k.next
	for ctx.Err() == nil {
		m, err := s.manager(k.options)
		if err != nil {
			return err
		}
		k.mu.Lock()
		k.current = m
		k.mu.Unlock()
		limited, cancel := context.WithCancelCause(ctx)
		stop, err := s.respond(limited, m, cancel)
		if err != nil {
			cancel(nil)
			return err
		}
		done := make(chan error, 1)
		go func() { done <- m.Run(limited) }()
		ready()
		select {
		case err = <-done:
			done <- err
		case next := <-k.next:
			s = next
		}
		failure := context.Cause(limited)
		cancel(nil)
		err = errors.Join(err, <-done)
		stop()
		if err != nil || failure != nil && ctx.Err() == nil {
			return errors.Join(err, failure)
		}
	}
	return nil
}

func (k *keeper) figures() []daemon.Figure {
	k.mu.Lock()
	m := k.current
	k.mu.Unlock()
	if m == nil {
		return nil
	}
	status, err := m.Status()
	if err != nil {
		return nil
	}
	var figures []daemon.Figure
	for _, s := range status {
		labels := map[string]string{"certificate": s.Name}
		failing := 0.0
		if s.LastError != "" {
			failing = 1
		}
		expires := 0.0
		if !s.Expires.IsZero() {
			expires = float64(s.Expires.Unix())
		}
		figures = append(figures,
			daemon.Figure{Name: "certd_expires_seconds", Help: "When the certificate ends, in seconds since 1970; 0 when there is none.", Labels: labels, Value: expires},
			daemon.Figure{Name: "certd_renewal_seconds", Help: "When the next one will be ordered.", Labels: labels, Value: float64(s.Renewal.Unix())},
			daemon.Figure{Name: "certd_failing", Help: "Whether the last attempt failed.", Labels: labels, Value: failing})
	}
	return figures
}
