package rack

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestConnected(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0801 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 01BD2E0A:0801 02BD2E0A:02E1 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 0 10 -1
   2: 05BD2E0A:0801 06BD2E0A:02E2 08 00000000:00000000 00:00000000 00000000     0        0 3 1 0 20 4 0 10 -1
   3: 01BD2E0A:0016 02BD2E0A:A2E1 01 00000000:00000000 00:00000000 00000000     0        0 4 1 0 20 4 0 10 -1
`
	clients, err := connected(strings.NewReader(table), nfsPort)
	require.NoError(t, err)
	require.Equal(t, []netip.Addr{netip.MustParseAddr("10.46.189.2")}, slices.Collect(maps.Keys(clients)))

	for _, line := range []string{"1: 01BD2E0A:0801", "1: x:0801 02BD2E0A:02E1 01", "1: 01BD2E0A:0801 02BD:02E1 01"} {
		_, err := connected(strings.NewReader("heading\n"+line+"\n"), nfsPort)
		require.Error(t, err, line)
	}
}
