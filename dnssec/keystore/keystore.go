package keystore

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
)

const (
	timeLayout = "20060102150405"
	// maxTries is how many keys are made to find one with a tag of its own.
	maxTries = 100
	// maxKeyFile is how much of a .key file is read.
	maxKeyFile = 1 << 16
	// defaultBits is the size of RSA keys.
	defaultBits = 2048
)

// Dir is a directory of keys. It is made, with mode 0700, when the first key is.
type Dir struct {
	Path string // of the directory; required
	// Secret seals private keys that are written, and opens those that are sealed;
	// keys that are not are refused then, with [ErrUnsealed]. Without it private
	// keys are written as BIND does.
	Secret *Secret
	// Random is crypto/rand's reader when nil. It is used for salts and nonces;
	// keys always come from the system's randomness.
	Random io.Reader
}

// Key is a key and what its files say of it.
type Key struct {
	// Key has the use that the .state file or the SEP flag gives it: what becomes of
	// it at a time is At's.
	dnssec.Key
	Origin wire.Name // of the zone that it is for
	// TTL is that of the record in the .key file, 0 when it has none.
	TTL    uint32
	Timing Timing
	// State is the lines of the .state file, in their order; nil when there is no
	// such file. Its times are Timing's: Write makes them so.
	State []StateLine
}

// StateLine is a line of a .state file, as Name: Value, such as KSK: yes.
type StateLine struct{ Name, Value string }

// Spec is what key to make.
type Spec struct {
	Origin    wire.Name        // of the zone
	Algorithm dnssec.Algorithm // required
	// Use has the SEP flag set when it includes SignKeys.
	Use dnssec.Use
	// Bits is the size of an RSA key, 2048 when zero.
	Bits int
}

// Name returns the name of the key's files without their endings, as in
// Kexample.org.+013+12345.
func (k *Key) Name() string { return "K" + fileName(k.Origin) + "+" + k.PublicKey.String() }

// fileName writes a name so that it is safe in a path, as BIND does: what is no
// letter, digit, hyphen, underscore or dot becomes % and two hexadecimal digits.
func fileName(origin wire.Name) string {
	var b strings.Builder
	if origin == wire.Root {
		return "."
	}
	for at := 0; origin[at] != 0; at += 1 + int(origin[at]) {
		for _, c := range []byte(origin[at+1 : at+1+int(origin[at])]) {
			if c-'a' < 26 || c-'0' < 10 || c == '-' || c == '_' {
				b.WriteByte(c)
				continue
			}
			fmt.Fprintf(&b, "%%%02X", c)
		}
		b.WriteByte('.')
	}
	return b.String()
}

// Keys reads the keys of a zone, in order of their names. All that is wrong with
// any of them is one error.
func (d Dir) Keys(origin wire.Name) ([]Key, error) {
	entries, err := os.ReadDir(d.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	var keys []Key
	var errs []error
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), ".key")
		if !ok || !strings.HasPrefix(name, "K"+fileName(origin)+"+") {
			continue
		}
		key, err := d.read(name)
		if err == nil && (key.Origin != origin || key.Name() != name) {
			err = fmt.Errorf("holds the key %s of %s: the name of the file does not fit", key.PublicKey, key.Origin)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("keystore: %s: %w", filepath.Join(d.Path, name), err))
			continue
		}
		keys = append(keys, key)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	slices.SortFunc(keys, func(a, b Key) int { return cmp.Compare(a.Name(), b.Name()) })
	return keys, nil
}

// read reads the files of one key.
func (d Dir) read(name string) (Key, error) {
	var key Key
	path := filepath.Join(d.Path, name)
	f, err := os.Open(path + ".key")
	if err != nil {
		return key, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return key, err
	}
	parser := dns.NewZoneParser(bytes.NewReader(text), ".", name+".key")
	parser.SetDefaultTTL(0)
	rr, _ := parser.Next()
	record, ok := rr.(*dns.DNSKEY)
	if !ok {
		return key, errors.Join(errors.New(".key file has no DNSKEY record"), parser.Err())
	}
	if key.Origin, err = wire.ParseName(record.Hdr.Name); err != nil {
		return key, err
	}
	field, err := base64.StdEncoding.DecodeString(record.PublicKey)
	if err != nil {
		return key, errors.New(".key file: public key is no base64")
	}
	key.PublicKey = dnssec.PublicKey{Flags: record.Flags, Algorithm: dnssec.Algorithm(record.Algorithm), Key: field}
	key.TTL = record.Hdr.Ttl
	key.Timing.readComments(text)
	if err := d.readPrivate(&key, path); err != nil {
		return key, err
	}
	if err := key.readState(path + ".state"); err != nil {
		return key, err
	}
	key.Use = key.role()
	return key, nil
}

// readPrivate reads the private file, when there is one: sealed or not.
func (d Dir) readPrivate(key *Key, path string) error {
	text, err := readSecret(path + ".private")
	if err == nil && d.Secret != nil {
		return fmt.Errorf(".private file %w", ErrUnsealed)
	}
	if errors.Is(err, fs.ErrNotExist) {
		text, err = readSecret(path + ".private.sealed")
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			if text, err = d.Secret.open(filepath.Base(path), text); err != nil {
				err = fmt.Errorf(".private.sealed file %w", err)
			}
		}
	}
	if err != nil {
		return err
	}
	signer, err := parsePrivate(text, key.Algorithm)
	if err != nil {
		return fmt.Errorf("private file: %w", err)
	}
	public, err := dnssec.MakePublicKey(key.Flags, key.Algorithm, signer.Public())
	if err != nil || !public.Equal(key.PublicKey) {
		return errors.New("private key does not belong to the public one")
	}
	key.Signer, key.Timing = signer, Timing{}
	fields, _ := parseFields(text) // was parsed above
	for _, at := range key.Timing.list() {
		if text := value(fields, at.name); text != "" {
			if *at.time, err = time.Parse(timeLayout, text); err != nil {
				return fmt.Errorf("private file: %s is no time", at.name)
			}
		}
	}
	return nil
}

func (k *Key) readState(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	fields, err := parseFields(text)
	if err != nil {
		return fmt.Errorf(".state file: %w", err)
	}
	for _, f := range fields {
		k.State = append(k.State, StateLine{Name: f.name, Value: f.value})
	}
	if err := k.Timing.readState(k.State); err != nil {
		return fmt.Errorf(".state file: %w", err)
	}
	return nil
}

// role is what the key is for: what its state file says, or its SEP flag. A
// revoked key signs the keys alone (RFC 5011 section 2.1).
func (k *Key) role() dnssec.Use {
	if k.Flags&dnssec.FlagRevoke != 0 {
		return dnssec.KSK
	}
	var use dnssec.Use
	for _, line := range k.State {
		if line.Value == "yes" {
			switch line.Name {
			case "KSK":
				use |= dnssec.KSK
			case "ZSK":
				use |= dnssec.ZSK
			}
		}
	}
	switch {
	case use != 0:
		return use
	case k.Flags&dnssec.FlagSEP != 0:
		return dnssec.KSK
	}
	return dnssec.ZSK
}

// Generate makes a key and writes its files.
func (d Dir) Generate(spec Spec, now time.Time) (Key, error) {
	present, err := d.Keys(spec.Origin)
	if err != nil {
		return Key{}, err
	}
	now = now.UTC().Truncate(time.Second)
	key := Key{Origin: spec.Origin, Timing: Timing{Created: now, Publish: now, Activate: now}}
	key.Use = spec.Use
	for range maxTries {
		if err := key.make(spec); err != nil {
			return Key{}, fmt.Errorf("keystore: %w", err)
		}
		if tagIsFree(key.PublicKey, present) {
			key.State = stateOf(&key, spec, now)
			if err := d.Write(key); err != nil {
				return Key{}, err
			}
			return key, nil
		}
	}
	return Key{}, fmt.Errorf("keystore: no free key tag for %s in %d tries", spec.Origin, maxTries)
}

// make gives the key its numbers.
func (k *Key) make(spec Spec) error {
	flags := dnssec.FlagZone
	if spec.Use&dnssec.SignKeys != 0 {
		flags |= dnssec.FlagSEP
	}
	var err error
	switch spec.Algorithm {
	case dnssec.RSASHA256:
		bits := cmp.Or(spec.Bits, defaultBits)
		if bits < 1024 || bits > 4096 {
			return fmt.Errorf("RSA keys have 1024 to 4096 bits, not %d", bits)
		}
		k.Signer, err = rsa.GenerateKey(rand.Reader, bits)
	case dnssec.ECDSAP256SHA256, dnssec.ECDSAP384SHA384:
		k.Signer, err = ecdsa.GenerateKey(curveOf(spec.Algorithm), rand.Reader)
	case dnssec.ED25519:
		_, k.Signer, err = generateEd25519()
	default:
		return fmt.Errorf("algorithm %d is not supported: 8, 13, 14 and 15 are", spec.Algorithm)
	}
	if err != nil {
		return err
	}
	k.PublicKey, err = dnssec.MakePublicKey(flags, spec.Algorithm, k.Signer.Public())
	return err
}

func generateEd25519() (crypto.PublicKey, crypto.Signer, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	return public, private, err
}

// tagIsFree reports whether the key shares no tag with others, now or once either
// is revoked. Tag 0 is left to others, as there are programs that take it for
// no key.
func tagIsFree(key dnssec.PublicKey, others []Key) bool {
	taken := map[uint16]bool{0: true}
	for _, other := range others {
		for _, tag := range tags(other.PublicKey) {
			taken[tag] = true
		}
	}
	mine := tags(key)
	return mine[0] != mine[1] && !taken[mine[0]] && !taken[mine[1]]
}

// tags returns a key's tags without and with the REVOKE flag.
func tags(key dnssec.PublicKey) [2]uint16 {
	key.Flags &^= dnssec.FlagRevoke
	plain := key.Tag()
	key.Flags |= dnssec.FlagRevoke
	return [2]uint16{plain, key.Tag()}
}

func stateOf(key *Key, spec Spec, now time.Time) []StateLine {
	yes := func(use dnssec.Use) string {
		if spec.Use&use != 0 {
			return "yes"
		}
		return "no"
	}
	length := 256
	switch public := key.Signer.Public().(type) {
	case *rsa.PublicKey:
		length = public.N.BitLen()
	case *ecdsa.PublicKey:
		length = public.Params().BitSize
	}
	at := stateTime(now)
	return []StateLine{
		{"Algorithm", fmt.Sprint(uint8(spec.Algorithm))}, {"Length", fmt.Sprint(length)}, {"Lifetime", "0"},
		{"KSK", yes(dnssec.SignKeys)}, {"ZSK", yes(dnssec.SignZone)},
		{"Generated", at}, {"Published", at}, {"Active", at},
	}
}
