package manager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/berryrack/berryrack/acme"
)

// The directories of Let's Encrypt.
const (
	LetsEncrypt        = "https://acme-v02.api.letsencrypt.org/directory"
	LetsEncryptStaging = "https://acme-staging-v02.api.letsencrypt.org/directory"
)

const (
	maxNames      = 100 // of one certificate
	maxID         = 200 // bytes; a file's name has 255 at most
	maxOrders     = 8   // under way at once
	maxSleep      = time.Minute
	minLook       = time.Second // between two looks of Run at a certificate
	reapEvery     = 10 * time.Minute
	orderTimeout  = 30 * time.Minute
	reloadTimeout = 2 * time.Minute
)

// A Manager keeps certificates. Its fields must not change once it is in use;
// its methods may be called by several goroutines at once.
type Manager struct {
	// Dir holds account keys, what is known of each certificate, and locks; it is
	// made with mode 0700. Required.
	Dir string
	// Output holds the certificates; empty is "certificates" in Dir. It is made
	// with mode 0755.
	Output string
	// CA is the authority's directory; empty is LetsEncrypt.
	CA string
	// Email is the account's contact; may be empty.
	Email string
	// AgreeTerms says that the authority's terms of service are agreed to.
	AgreeTerms bool
	// External binds the account to one at the authority, for those that want it.
	External *ExternalAccount
	// Solver solves dns-01; needed unless all certificates have HTTP01.
	Solver *acme.Solver
	// Certificates that Run keeps.
	Certificates []Certificate
	// Client makes the requests to the authority; nil is http.DefaultClient.
	Client *http.Client
	// Logger hears what is done; nil is silent. It never gets a secret.
	Logger *slog.Logger
	// Clock tells the time; nil is time.Now.
	Clock func() time.Time

	mu      sync.Mutex
	loaded  map[string]*loadedCertificate // for GetCertificate, by directory
	dirs    map[string]string             // of each name, for GetCertificate
	ensured []Certificate
	// unwritten is what state files should hold, by path.
	unwritten map[string][]byte
	step      func(string) // called before each step of a deployment: for tests
}

// A Certificate is one that is wanted.
type Certificate struct {
	// Names that it is for, the first one, of up to 200 bytes, gives it its name. Up
	// to 100, in Unicode or A-labels.
	Names []string
	// Profile of the authority's: "shortlived", say. Empty: the authority's default.
	Profile string
	// PreferredChain is the common name of a root. A chain that ends there is
	// chosen among those that the authority offers. Empty: its default.
	PreferredChain string
	// KeyType is EC256 (which is meant by ""), EC384, RSA2048 or RSA4096.
	KeyType KeyType
	// HTTP01, when not nil, proves control by http-01 instead of dns-01.
	HTTP01 *HTTP01
	// Group that may read the private key, with Mode; empty is this process's.
	Group string
	// Mode of the files; 0 is 0640 with a Group and 0600 without. Certificates
	// without the key are readable by all.
	Mode fs.FileMode
	// Reload are commands to run when the certificate is in its place, until they
	// succeed.
	Reload [][]string
}

// ID is the certificate's name in the file system: its first name in A-labels,
// with "_" for "*".
func (c Certificate) ID() string {
	if len(c.Names) == 0 {
		return ""
	}
	return strings.ReplaceAll(canonical(c.Names[0]), "*", "_")
}

// canonical returns a name as certificates have it; what is none is returned as
// it is, and reported by check.
func canonical(name string) string {
	prefix, rest := "", name
	if strings.HasPrefix(name, "*.") {
		prefix, rest = "*.", name[2:]
	}
	absolute, err := acme.CanonicalName(rest)
	if err != nil {
		return name
	}
	return prefix + strings.TrimSuffix(absolute, ".")
}

// names returns the certificate's names in canonical form, each once.
func (c Certificate) names() []string {
	var names []string
	for _, name := range c.Names {
		if n := canonical(name); !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// Check returns what is wrong with the certificate's fields, all at once.
func (c Certificate) Check() error {
	var errs []error
	if len(c.Names) == 0 || len(c.Names) > maxNames {
		errs = append(errs, fmt.Errorf("manager: a certificate has 1 to %d names, not %d", maxNames, len(c.Names)))
	}
	for _, name := range c.Names {
		bare := strings.TrimPrefix(name, "*.")
		if _, err := acme.CanonicalName(bare); err != nil || !strings.Contains(strings.TrimSuffix(bare, "."), ".") {
			errs = append(errs, fmt.Errorf("manager: %q is no name that a certificate can be for", name))
		}
		if c.HTTP01 != nil && bare != name {
			errs = append(errs, fmt.Errorf("manager: %s: wildcards need dns-01 (RFC 8555 section 7.1.3)", name))
		}
	}
	if len(c.ID()) > maxID {
		errs = append(errs, fmt.Errorf("manager: the first name gives the certificate's files their names: put one first that has no more than %d bytes", maxID))
	}
	if _, err := c.KeyType.generate(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Ensure returns when there is a valid certificate for exactly these names that
// is not due for renewal, and its reload commands have succeeded. Options are
// those of the one among Certificates that has the same names, if any.
//
// Unlike Run it tries again at once after a failure, but not against the wish of
// the authority, nor a sixth time in an hour for a name that was not validated:
// then the error is a *WaitError.
//
// Whatever the clock and the authority say, renewals are six hours apart, or a
// quarter of the certificate's life when that is less. For one that has ended
// meanwhile the error is a *WaitError, too.
func (m *Manager) Ensure(ctx context.Context, names ...string) error {
	c := m.wanted(names)
	m.serve(c)
	return m.ensure(ctx, c, false, false)
}

// Renew orders a new certificate for the named one, due or not.
func (m *Manager) Renew(ctx context.Context, name string) error {
	c, err := m.find(name)
	if err != nil {
		return err
	}
	return m.ensure(ctx, c, true, false)
}

// Revoke tells the authority that a certificate must no longer be trusted. Its
// files stay; Ensure replaces it. The reason is one of RFC 5280 section 5.3.1:
// 0 unspecified, 1 key compromise, 4 superseded, 5 cessation of operation.
func (m *Manager) Revoke(ctx context.Context, name string, reason uint) error {
	c, err := m.find(name)
	if err != nil {
		return err
	}
	unlock, err := m.lock(ctx, c.ID())
	if err != nil {
		return err
	}
	defer unlock()
	current, err := m.current(c)
	if err != nil {
		return fmt.Errorf("manager: no certificate named %s to revoke: %w", name, err)
	}
	s := m.load(c)
	if from := s.Origin; from.Serial == serial(current.leaf) && from.CA != "" && from.CA != m.ca() {
		return fmt.Errorf("manager: revoke %s: the certificate is of %s, not of %s: name that authority", name, from.CA, m.ca())
	}
	client, err := m.account(ctx)
	if err != nil {
		return fmt.Errorf("manager: revoke %s: %w", name, err)
	}
	if err := client.revoke(current.leaf.Raw, reason); err != nil && !isProblem(err, "alreadyRevoked") {
		return fmt.Errorf("manager: revoke %s: %w", name, err)
	}
	s.RevokedSerial = serial(current.leaf)
	return m.save(c, s)
}

// wanted returns the certificate of Certificates with these names, or a plain one.
func (m *Manager) wanted(names []string) Certificate {
	c := Certificate{Names: names}
	for _, other := range m.Certificates {
		if sameNames(other.names(), c.names()) {
			return other
		}
	}
	return c
}

func sameNames(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// find returns the certificate of a name: one of Certificates or, with the
// names of its current certificate, one that is on disk.
func (m *Manager) find(name string) (Certificate, error) {
	id := Certificate{Names: []string{name}}.ID()
	for _, c := range m.Certificates {
		if c.ID() == id {
			return c, nil
		}
	}
	c := Certificate{Names: []string{name}}
	if err := c.Check(); err != nil {
		return c, err
	}
	current, err := m.current(c)
	if err != nil {
		return c, fmt.Errorf("manager: no certificate named %s: %w", name, err)
	}
	s := m.load(c)
	c.Names = current.leaf.DNSNames
	if i := slices.Index(c.Names, canonical(name)); i > 0 {
		c.Names[0], c.Names[i] = c.Names[i], c.Names[0]
	}
	c.Profile = s.Origin.Profile
	return c, nil
}

func (m *Manager) now() time.Time {
	if m.Clock != nil {
		return m.Clock()
	}
	return time.Now()
}

func (m *Manager) log() *slog.Logger {
	if m.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return m.Logger
}

func (m *Manager) ca() string { return cmp.Or(m.CA, LetsEncrypt) }

func (m *Manager) output() string { return cmp.Or(m.Output, filepath.Join(m.Dir, "certificates")) }

// lock keeps other processes and goroutines from the same certificate.
func (m *Manager) lock(ctx context.Context, id string) (unlock func(), err error) {
	return (&acme.Journal{Dir: m.Dir}).Lock(ctx, "certificate-"+id)
}
