package keystore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/stretchr/testify/require"
)

// Keys in the clear are not taken for sealed ones, and can be sealed, also when
// that was cut off half way.
func TestSeal(t *testing.T) {
	secret, err := KeyFile(secretFile(t, strings.Repeat("k", 32), 0o600))
	require.NoError(t, err)
	clear := Dir{Path: filepath.Join(t.TempDir(), "keys")}
	d := Dir{Path: clear.Path, Secret: secret}
	one, two, three := generate(t, clear, dnssec.ED25519, dnssec.KSK), generate(t, clear, dnssec.ED25519, dnssec.ZSK), generate(t, clear, dnssec.ED25519, dnssec.ZSK)
	before, err := clear.Keys(one.Origin)
	require.NoError(t, err)

	_, err = d.Keys(one.Origin)
	require.ErrorIs(t, err, ErrUnsealed)
	require.ErrorContains(t, err, one.Name())
	require.ErrorContains(t, clear.Seal(one.Origin), "no secret")

	// A run that ended between writing the sealed file and removing the other one.
	require.NoError(t, os.WriteFile(filepath.Join(d.Path, two.Name()+".private.sealed"), []byte("half"), 0o600))
	// What is written again is sealed.
	require.NoError(t, d.Write(three))
	names, err := d.Unsealed(one.Origin)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{one.Name(), two.Name()}, names)
	require.NoError(t, d.Seal(one.Origin))
	checkModes(t, d)
	after, err := d.Keys(one.Origin)
	require.NoError(t, err)
	require.Equal(t, before, after)

	// What is no key stays where it is: as the first file of one that was cut off, or
	// as a damaged one.
	path := filepath.Join(d.Path, "Kexample.+015+00001.private")
	require.NoError(t, os.WriteFile(path, []byte("other"), 0o600))
	require.NoError(t, d.Seal(one.Origin))
	require.FileExists(t, path)
	require.NoError(t, os.Rename(path, filepath.Join(d.Path, one.Name()+".private")))
	require.ErrorContains(t, d.Seal(one.Origin), one.Name())
	require.FileExists(t, filepath.Join(d.Path, one.Name()+".private"))
}
