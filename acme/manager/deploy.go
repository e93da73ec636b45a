package manager

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	keepVersions = 3 // of each certificate, the current one among them
	tempPrefix   = ".new-"
)

// deploy writes a new version of a certificate and switches "current" to it in
// one step.
func (m *Manager) deploy(c Certificate, got *issued) (*x509.Certificate, error) {
	certs, err := parseChain(got.chain)
	if err != nil {
		return nil, err
	}
	key, err := encodeKey(got.key)
	if err != nil {
		return nil, err
	}
	leaf, rest := splitChain(got.chain)
	files := map[string][]byte{"privkey.pem": key, "cert.pem": leaf, "chain.pem": rest, "fullchain.pem": got.chain}
	dir := filepath.Join(m.output(), c.ID())
	version := certs[0].NotBefore.UTC().Format("20060102T150405Z") + "-" + serial(certs[0])
	if err := m.writeVersion(c, dir, version, files); err != nil {
		return nil, fmt.Errorf("%w; nothing was changed, and the certificate will be fetched again", err)
	}
	if err := m.switchTo(dir, version); err != nil {
		return nil, err
	}
	if err := prune(dir, version); err != nil {
		m.log().Warn("old versions stay", "certificate", c.ID(), "error", err)
	}
	return certs[0], nil
}

// writeVersion writes all files into a directory beside the place, syncs them,
// and moves it there.
func (m *Manager) writeVersion(c Certificate, dir, version string, files map[string][]byte) error {
	versions := filepath.Join(dir, "versions")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(versions, tempPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	gid, err := groupID(c.Group)
	if err != nil {
		return err
	}
	for _, name := range []string{"privkey.pem", "cert.pem", "chain.pem", "fullchain.pem"} {
		m.reach("before " + name)
		mode := fs.FileMode(0o644)
		if name == "privkey.pem" {
			mode = c.keyMode()
		}
		if err := writeSynced(filepath.Join(temp, name), files[name], mode, gid); err != nil {
			return err
		}
	}
	if err := errors.Join(os.Chmod(temp, 0o755), syncDir(temp)); err != nil {
		return err
	}
	m.reach("before the version is there")
	final := filepath.Join(versions, version)
	if err := os.Rename(temp, final); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(versions)
}

// keyMode is that of the private key.
func (c Certificate) keyMode() fs.FileMode {
	if c.Mode == 0 && c.Group != "" {
		return 0o640
	}
	return cmp.Or(c.Mode.Perm(), 0o600)
}

// access tells who may read the private key.
func (c Certificate) access() string { return fmt.Sprintf("%s %s", c.keyMode(), c.Group) }

// permit gives the private key that is in place another group or mode, when the
// certificate has got these since; the server may not have been able to read it.
func (m *Manager) permit(c Certificate, s *state, current *loadedCertificate) error {
	if current == nil || s.Access == "" || s.Access == c.access() {
		return nil
	}
	gid, err := groupID(c.Group)
	if err != nil {
		return fmt.Errorf("manager: %s: %w", c.ID(), err)
	}
	path := filepath.Join(m.output(), c.ID(), current.version, "privkey.pem")
	if gid >= 0 {
		err = os.Chown(path, -1, gid)
	}
	if err = errors.Join(err, os.Chmod(path, c.keyMode())); err != nil {
		return fmt.Errorf("manager: %s: %w", c.ID(), err)
	}
	s.Access, s.ReloadDue = c.access(), len(c.Reload) > 0
	return m.save(c, *s)
}

// writeSynced writes a file that nobody else can read before it has its group.
func writeSynced(path string, data []byte, mode fs.FileMode, gid int) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && gid >= 0 {
		err = f.Chown(-1, gid)
	}
	return errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
}

// groupID returns a group's number, -1 for none.
func groupID(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	group, err := user.LookupGroup(name)
	if err != nil {
		return -1, err
	}
	return strconv.Atoi(group.Gid)
}

// switchTo replaces the link "current".
func (m *Manager) switchTo(dir, version string) error {
	temp := filepath.Join(dir, tempPrefix+version)
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	m.reach("before the link")
	if err := os.Symlink(filepath.Join("versions", version), temp); err != nil {
		return err
	}
	m.reach("before the switch")
	if err := os.Rename(temp, filepath.Join(dir, "current")); err != nil {
		return err
	}
	m.reach("switched")
	return syncDir(dir)
}

// prune removes old versions, and what a crash has left.
func prune(dir, current string) error {
	for _, place := range []string{dir, filepath.Join(dir, "versions")} {
		left, err := os.ReadDir(place) // not Glob: the name of the output may be a pattern
		if err != nil {
			return err
		}
		for _, e := range left {
			if !strings.HasPrefix(e.Name(), tempPrefix) {
				continue
			}
			if err := os.RemoveAll(filepath.Join(place, e.Name())); err != nil {
				return err
			}
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, "versions")) // by name, that is by date
	if err != nil {
		return err
	}
	old := slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Name() == current })
	for _, e := range old[:max(len(old)-keepVersions+1, 0)] {
		if err := os.RemoveAll(filepath.Join(dir, "versions", e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manager) reach(step string) {
	if m.step != nil {
		m.step(step)
	}
}

// loadedCertificate is one that was read from disk.
type loadedCertificate struct {
	version string
	pair    tls.Certificate
	leaf    *x509.Certificate
}

// current reads the certificate that is in place.
func (m *Manager) current(c Certificate) (*loadedCertificate, error) {
	return readCurrent(filepath.Join(m.output(), c.ID()))
}

// readCurrent follows the link once, so that key and certificate belong
// together; again only when that version was removed meanwhile.
func readCurrent(dir string) (*loadedCertificate, error) {
	for {
		version, err := os.Readlink(filepath.Join(dir, "current"))
		if err != nil {
			return nil, err
		}
		loaded, err := readVersion(dir, version)
		if now, _ := os.Readlink(filepath.Join(dir, "current")); err == nil || now == version {
			return loaded, err
		}
	}
}

func readVersion(dir, version string) (*loadedCertificate, error) {
	at := func(name string) string { return filepath.Join(dir, version, name) }
	pair, err := tls.LoadX509KeyPair(at("fullchain.pem"), at("privkey.pem"))
	if err != nil {
		return nil, err
	}
	return &loadedCertificate{version, pair, pair.Leaf}, nil
}

// serial returns a certificate's serial number as openssl writes it.
func serial(cert *x509.Certificate) string {
	return strings.ToUpper(cert.SerialNumber.Text(16))
}
