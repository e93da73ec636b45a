package nfsroot

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func mustPool(t testing.TB, prefix string) Pool {
	t.Helper()
	pool, err := NewPool(netip.MustParsePrefix(prefix))
	require.NoError(t, err)
	return pool
}

func TestNewPool(t *testing.T) {
	for prefix, problem := range map[string]string{
		"2001:db8::/32":          "IPv4 only",
		"::ffff:10.46.189.0/123": "IPv4 only",
		"10.46.189.0/31":         "must be a /30 or larger",
		"10.46.189.1/27":         "write 10.46.189.0/27",
		"0.0.0.0/0":              "not for hosts",
		"127.0.0.0/24":           "not for hosts",
		"239.0.0.0/24":           "not for hosts",
		"240.0.0.0/24":           "not for hosts",
	} {
		_, err := NewPool(netip.MustParsePrefix(prefix))
		require.ErrorContains(t, err, problem, prefix)
	}
	_, err := NewPool(netip.Prefix{})
	require.ErrorContains(t, err, "no prefix")
}

func TestLink(t *testing.T) {
	pool := mustPool(t, "10.46.189.0/27")
	require.Equal(t, 8, pool.Slots())
	require.Equal(t, netip.MustParsePrefix("10.46.189.0/27"), pool.Prefix())
	link, err := pool.Link(7)
	require.NoError(t, err)
	require.Equal(t, Link{
		netip.MustParsePrefix("10.46.189.28/30"), netip.MustParseAddr("10.46.189.29"),
		netip.MustParseAddr("10.46.189.30"), netip.MustParseAddr("10.46.189.31"),
	}, link)

	one := mustPool(t, "10.46.189.4/30")
	require.Equal(t, 1, one.Slots())
	_, err = one.Link(0)
	require.NoError(t, err)
}

func TestNoLink(t *testing.T) {
	pool := mustPool(t, "10.46.189.0/24")
	for slot, problem := range map[int]string{
		-1:      "count from 0",
		64:      "ends with slot 63: slot 64 needs a /23",
		95:      "needs a /23",
		128:     "needs a /22",
		1 << 29: "no IPv4 prefix has so many",
	} {
		link, err := pool.Link(slot)
		require.ErrorContains(t, err, problem)
		require.Zero(t, link)
	}
	require.Zero(t, Pool{}.Slots())
	_, err := Pool{}.Link(3)
	require.ErrorContains(t, err, "make one of a /28")
	_, ok := Pool{}.Slot(netip.MustParseAddr("10.46.189.1"))
	require.False(t, ok)
}

func TestPoolBits(t *testing.T) {
	for slots, bits := range map[int]int{0: 30, 1: 30, 2: 29, 8: 27, 64: 24, 65: 23, 96: 23, 4000: 18, 1 << 29: 1, 1<<29 + 1: 0} {
		require.Equal(t, bits, PoolBits(slots), "%d slots", slots)
	}
}

// TestLinks checks whole pools: the links are disjoint, in the pool, and found
// again by each of their addresses.
func TestLinks(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	rounds := 40
	if os.Getenv("BERRYRACK_REQUIRE") != "" {
		rounds = 200
	}
	for range rounds {
		bits := 18 + r.IntN(13)
		base := uint32(10<<24) | uint32(r.IntN(1<<24))
		pool := mustPool(t, netip.PrefixFrom(addr4(base), bits).Masked().String())
		next := pool.Prefix().Addr()
		for slot := range pool.Slots() {
			link, err := pool.Link(slot)
			require.NoError(t, err)
			require.Equal(t, next, link.Network.Addr(), "a link begins where the one before it ended")
			require.Equal(t, link.Network, link.Network.Masked())
			for _, addr := range []netip.Addr{link.Network.Addr(), link.Server, link.Client, link.Broadcast} {
				require.Equal(t, next, addr)
				found, ok := pool.Slot(addr)
				require.True(t, ok && found == slot)
				next = next.Next()
			}
		}
		require.False(t, pool.Prefix().Contains(next), "the links fill the pool")
	}
}

// TestLinkStays checks that a larger pool at the same place keeps the links.
func TestLinkStays(t *testing.T) {
	small, large := mustPool(t, "10.46.188.0/27"), mustPool(t, "10.46.188.0/22")
	for slot := range small.Slots() {
		a, err := small.Link(slot)
		require.NoError(t, err)
		b, err := large.Link(slot)
		require.NoError(t, err)
		require.Equal(t, a, b)
	}
}

func TestCheckPools(t *testing.T) {
	a, b, c := mustPool(t, "10.46.189.0/27"), mustPool(t, "10.46.189.32/27"), mustPool(t, "10.46.189.0/24")
	require.NoError(t, CheckPools())
	require.NoError(t, CheckPools(a, b, Pool{}))
	err := CheckPools(a, b, c)
	require.ErrorContains(t, err, "pools 10.46.189.0/27 and 10.46.189.0/24 overlap")
	require.ErrorContains(t, err, "pools 10.46.189.32/27 and 10.46.189.0/24 overlap")
	require.ErrorContains(t, CheckPools(a, a), "a /26 has the slots of both")
}

func TestLinkAllocatesNothing(t *testing.T) {
	pool := mustPool(t, "10.46.189.0/27")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if link, err := pool.Link(3); err != nil || !link.Client.IsValid() {
			t.Error(link, err)
		}
	}))
}

func BenchmarkLink(b *testing.B) {
	pool := mustPool(b, "10.0.0.0/8")
	mask := pool.Slots() - 1
	b.ReportAllocs()
	slot := 0
	for b.Loop() {
		link, err := pool.Link(slot & mask)
		if err != nil || link.Client == link.Server {
			b.Fatal(link, err)
		}
		slot++
	}
}
