package nat64

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// userOptions is the body of an RTM_NEWNDUSEROPT message about interface 1 with the options.
func userOptions(options ...byte) []byte {
	body := make([]byte, userOptionHeader)
	body[0], body[8] = unix.AF_INET6, routerAdvertisement
	binary.NativeEndian.PutUint16(body[2:], uint16(len(options)))
	binary.NativeEndian.PutUint32(body[4:], 1)
	return append(body, options...)
}

func TestReadUserOptions(t *testing.T) {
	option, err := WellKnown().PREF64(time.Minute)
	require.NoError(t, err)
	rdnss := []byte{25, 1, 0, 0, 0, 0, 0, 0}
	router := []byte{20, 0, userOptionSource, 0, 0xfe, 0x80, 15 + 4: 1}
	found := readUserOptions(append(userOptions(append(rdnss, option[:]...)...), router...))
	require.Len(t, found, 1)
	require.Equal(t, WellKnown(), found[0].prefix)
	require.Equal(t, 64*time.Second, found[0].lifetime)
	require.Equal(t, "fe80::1%lo", found[0].from)

	require.Empty(t, readUserOptions(nil))
	require.Empty(t, readUserOptions(userOptions(append([]byte{25, 0, 0, 0, 0, 0, 0, 0}, option[:]...)...)), "an option of no length")
	require.Empty(t, readUserOptions(userOptions(option[:15]...)))
	solicited := userOptions(option[:]...)
	solicited[8] = 133
	require.Empty(t, readUserOptions(solicited), "not of a router")
}

func FuzzReadUserOptions(f *testing.F) {
	option, _ := WellKnown().PREF64(time.Minute)
	f.Add(userOptions(option[:]...))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, a := range readUserOptions(body) {
			require.True(t, a.prefix.IsValid())
			require.LessOrEqual(t, a.lifetime, MaxPREF64Lifetime)
		}
	})
}
