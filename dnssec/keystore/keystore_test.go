package keystore

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/berryrack/berryrack/internal/lab"
	"github.com/stretchr/testify/require"
)

var (
	now        = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	algorithms = []dnssec.Algorithm{dnssec.RSASHA256, dnssec.ECDSAP256SHA256, dnssec.ECDSAP384SHA384, dnssec.ED25519}
)

func origin(t testing.TB, text string) wire.Name {
	t.Helper()
	name, err := wire.ParseName(text)
	require.NoError(t, err)
	return name
}

func secretFile(t testing.TB, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte(content), mode))
	require.NoError(t, os.Chmod(path, mode))
	return path
}

func generate(t testing.TB, d Dir, algorithm dnssec.Algorithm, use dnssec.Use) Key {
	t.Helper()
	key, err := d.Generate(Spec{Origin: origin(t, "example."), Algorithm: algorithm, Use: use, Bits: 1024}, now)
	require.NoError(t, err)
	return key
}

func TestRoundTrip(t *testing.T) {
	passphrase, err := PassphraseFile(secretFile(t, "correct horse\nignored\n", 0o600))
	require.NoError(t, err)
	keyFile, err := KeyFile(secretFile(t, strings.Repeat("k", 32), 0o600))
	require.NoError(t, err)
	for _, secret := range []*Secret{nil, keyFile, passphrase} {
		d := Dir{Path: filepath.Join(t.TempDir(), "new", "keys"), Secret: secret}
		keys, err := d.Keys(origin(t, "example."))
		require.NoError(t, err)
		require.Empty(t, keys)
		want := map[string]Key{}
		for i, algorithm := range algorithms {
			if secret == passphrase && i > 0 {
				continue // it is slow on purpose
			}
			key := generate(t, d, algorithm, []dnssec.Use{dnssec.KSK, dnssec.ZSK, dnssec.CSK, dnssec.ZSK}[i])
			want[key.Name()] = key
		}
		keys, err = d.Keys(origin(t, "Example"))
		require.NoError(t, err)
		require.Len(t, keys, len(want))
		for _, key := range keys {
			require.Equal(t, want[key.Name()], key)
		}
		checkModes(t, d)
	}
}

// checkModes sees that nobody else can read what is secret, and that sealed files
// are.
func checkModes(t *testing.T, d Dir) {
	t.Helper()
	entries, err := os.ReadDir(d.Path)
	require.NoError(t, err)
	for _, entry := range entries {
		info, err := entry.Info()
		require.NoError(t, err)
		require.False(t, strings.HasPrefix(entry.Name(), "."), "left behind: %s", entry.Name())
		if strings.Contains(entry.Name(), ".private") {
			require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
			text, err := os.ReadFile(filepath.Join(d.Path, entry.Name()))
			require.NoError(t, err)
			require.Equal(t, d.Secret == nil, strings.Contains(string(text), "Private-key-format"), entry.Name())
		}
	}
	info, err := os.Stat(d.Path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}

func TestRefusals(t *testing.T) {
	secret, err := KeyFile(secretFile(t, "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=\n", 0o600))
	require.NoError(t, err)
	other, err := KeyFile(secretFile(t, strings.Repeat("x", 32), 0o600))
	require.NoError(t, err)
	d := Dir{Path: t.TempDir(), Secret: secret}
	one, two := generate(t, d, dnssec.ED25519, dnssec.KSK), generate(t, d, dnssec.ED25519, dnssec.ZSK)
	sealed := func(key Key) string { return filepath.Join(d.Path, key.Name()+".private.sealed") }

	// Every key's trouble is told, and nothing secret with it.
	_, err = Dir{Path: d.Path}.Keys(one.Origin)
	require.ErrorContains(t, err, one.Name())
	require.ErrorContains(t, err, two.Name())
	require.ErrorContains(t, err, "sealed with a key, which is not given")
	_, err = Dir{Path: d.Path, Secret: other}.Keys(one.Origin)
	require.ErrorIs(t, err, ErrSecret)
	require.NotContains(t, fmt.Sprintf("%v %s", err, other), "xxx")

	// A sealed file belongs to its name.
	text, err := os.ReadFile(sealed(one))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(sealed(two), text, 0o600))
	_, err = d.Keys(one.Origin)
	require.ErrorIs(t, err, ErrSecret)
	require.NotContains(t, err.Error(), one.Name())

	require.NoError(t, os.Chmod(sealed(one), 0o640))
	require.NoError(t, os.Remove(sealed(two)))
	_, err = d.Keys(one.Origin)
	require.ErrorContains(t, err, "mode is 0640")
	require.NoError(t, os.Chmod(sealed(one), 0o600))
	keys, err := d.Keys(one.Origin)
	require.NoError(t, err)
	for _, key := range keys {
		require.Equal(t, key.Name() == two.Name(), key.Signer == nil, "a key without a private file is offline")
	}

	require.NoError(t, os.Rename(filepath.Join(d.Path, two.Name()+".key"), filepath.Join(d.Path, "Kexample.+015+00001.key")))
	_, err = d.Keys(one.Origin)
	require.ErrorContains(t, err, "the name of the file does not fit")
}

func TestSecretFiles(t *testing.T) {
	for _, tt := range []struct {
		content string
		mode    os.FileMode
		want    string
	}{
		{"secret\n", 0o644, "chmod 600"}, {"\n", 0o600, "no passphrase"}, {strings.Repeat("x", maxSecret+1), 0o600, "longer than 4096"},
	} {
		_, err := PassphraseFile(secretFile(t, tt.content, tt.mode))
		require.ErrorContains(t, err, tt.want)
	}
	_, err := KeyFile(secretFile(t, "short", 0o600))
	require.ErrorContains(t, err, "want 32 octets")
	_, err = KeyFile(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// No two keys share a tag, nor would they once revoked.
func TestTagsAreFree(t *testing.T) {
	key := Key{Key: dnssec.Key{PublicKey: dnssec.PublicKey{Flags: 257, Algorithm: 15, Key: make([]byte, 32)}}}
	plain, revoked := key.PublicKey, key.PublicKey
	revoked.Flags |= dnssec.FlagRevoke
	require.NotEqual(t, plain.Tag(), revoked.Tag())
	require.True(t, tagIsFree(plain, nil))
	require.False(t, tagIsFree(plain, []Key{key}))
	// 0x0080 more in another octet of the same weight is the revoked key's tag.
	twin := key
	twin.PublicKey.Key = append([]byte{0, 0x80}, make([]byte, 30)...)
	require.Equal(t, revoked.Tag(), twin.Tag())
	require.False(t, tagIsFree(plain, []Key{twin}))
	zero := dnssec.PublicKey{Flags: 256, Algorithm: 15, Key: make([]byte, 32)}
	sum := zero.Tag()
	zero.Key[0], zero.Key[1] = byte((65535-sum)>>8), byte(65535-sum)
	require.Contains(t, []uint16{0, 65535}, zero.Tag())
}

func TestFileNames(t *testing.T) {
	for name, want := range map[string]string{
		".": "K.", "example.": "Kexample.", `a\/b.\000x.`: "Ka%2Fb.%00x.", `..\.`: "",
	} {
		parsed, err := wire.ParseName(name)
		if want == "" {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		require.True(t, strings.HasPrefix((&Key{Origin: parsed}).Name(), want+"+"), name)
	}
}

// TestBIND has BIND make keys that are read here, and read keys made here.
func TestBIND(t *testing.T) {
	lab.Need(t, "dnssec-keygen", "dnssec-dsfromkey", "dnssec-settime")
	dir := t.TempDir()
	run := func(program string, args ...string) string {
		t.Helper()
		output, err := exec.CommandContext(t.Context(), lab.Program(t, program), args...).Output()
		require.NoError(t, err, "%s %q", program, args)
		return strings.TrimSpace(string(output))
	}
	made := map[string]dnssec.Use{}
	for _, algorithm := range algorithms {
		made[run("dnssec-keygen", "-q", "-K", dir, "-a", algorithm.String(), "-b", "2048", "example.")] = dnssec.ZSK
		made[run("dnssec-keygen", "-q", "-K", dir, "-a", algorithm.String(), "-b", "2048", "-f", "KSK", "example.")] = dnssec.KSK
	}
	policy := filepath.Join(dir, "policy")
	require.NoError(t, os.WriteFile(policy, []byte("dnssec-policy p { keys { csk lifetime unlimited algorithm 13; }; };"), 0o600))
	made[run("dnssec-keygen", "-q", "-K", dir, "-k", "p", "-l", policy, "example.")] = dnssec.CSK

	d := Dir{Path: dir}
	keys, err := d.Keys(origin(t, "example."))
	require.NoError(t, err)
	require.Len(t, keys, len(made))
	for _, key := range keys {
		require.NotNil(t, key.Signer)
		require.Equal(t, made[key.Name()], key.Use, key.Name())
		require.False(t, key.Timing.Activate.IsZero())
		ds := zone.RRset{Type: 43, Data: wire.RDATA(nil).Append(key.DS(key.Origin, dnssec.SHA256))}
		text := strings.Fields(string(ds.AppendText(nil, key.Origin)))
		require.Contains(t, strings.ToLower(run("dnssec-dsfromkey", "-2", filepath.Join(dir, key.Name()))), strings.Join(text[3:], " ")[3:])
		// What is written again, BIND reads again, with the timing that it had.
		require.NoError(t, d.Write(key))
		run("dnssec-settime", "-p", "all", filepath.Join(dir, key.Name()))
	}
	again, err := d.Keys(origin(t, "example."))
	require.NoError(t, err)
	require.Equal(t, keys, again)
	for _, algorithm := range algorithms {
		key := generate(t, d, algorithm, dnssec.CSK)
		output := run("dnssec-settime", "-p", "all", filepath.Join(dir, key.Name()))
		require.Contains(t, output, "Created: Mon Nov 23 12:00:00 2026")
	}
}

func FuzzParsePrivate(f *testing.F) {
	f.Add([]byte("Private-key-format: v1.3\nAlgorithm: 15 (ED25519)\nPrivateKey: u9U5C3kZIWuuB4WPIuMZJPvfdaBBOwWbd5CR+OCdT2E=\n"), uint8(15))
	f.Add([]byte("Private-key-format: v1.3\nAlgorithm: 13 (ECDSAP256SHA256)\nPrivateKey: NOrnyYQ14yIOBA8xsAAsQ/YuqEwL9iuRjwMX9GSRwSc=\n"), uint8(13))
	f.Add([]byte("Private-key-format: v1.3\nAlgorithm: 8\nModulus: AQAB\nPublicExponent: AQAB\n"), uint8(8))
	f.Fuzz(func(t *testing.T, text []byte, algorithm uint8) {
		signer, err := parsePrivate(text, dnssec.Algorithm(algorithm))
		if err != nil {
			return
		}
		again, err := formatPrivate(dnssec.Algorithm(algorithm), signer, Timing{})
		require.NoError(t, err)
		same, err := parsePrivate(again, dnssec.Algorithm(algorithm))
		require.NoError(t, err)
		require.Equal(t, signer.Public(), same.Public())
	})
}

func FuzzOpenSealed(f *testing.F) {
	f.Add([]byte("berryrack-sealed-key-v1 key\nAAAA\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		secret := &Secret{kind: "key", octet: make([]byte, 32)}
		_, err := secret.open("name", text)
		require.Error(t, err)
	})
}

func ExampleDir_Generate() {
	dir, err := os.MkdirTemp("", "keys")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	name, _ := wire.ParseName("example.org")
	store := Dir{Path: dir}
	if _, err := store.Generate(Spec{Origin: name, Algorithm: dnssec.ED25519, Use: dnssec.CSK}, time.Now()); err != nil {
		fmt.Println(err)
		return
	}
	keys, err := store.Keys(name)
	fmt.Println(len(keys), keys[0].Algorithm, keys[0].Use == dnssec.CSK, err)
	// Output: 1 ED25519 true <nil>
}
