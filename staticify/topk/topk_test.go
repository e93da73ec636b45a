package topk

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// zipf makes a stream of n keys, and counts them exactly.
func zipf(seed uint64, n int) (stream []string, exact map[string]float64) {
	z := rand.NewZipf(rand.New(rand.NewPCG(seed, 0)), 1.1, 1, 1<<20)
	exact = map[string]float64{}
	for range n {
		key := fmt.Sprint("/page/", z.Uint64())
		stream = append(stream, key)
		exact[key]++
	}
	return stream, exact
}

func count(capacity int, stream []string) *Summary {
	s := New(capacity)
	for _, key := range stream {
		s.Add([]byte(key), 0)
	}
	return s
}

// requireBounds checks all that the package promises of counts.
func requireBounds(t *testing.T, s *Summary, exact map[string]float64) {
	total := 0.0
	for _, n := range exact {
		total += n
	}
	listed := map[string]bool{}
	for _, item := range s.Top(s.Len()) {
		listed[item.Key] = true
		require.LessOrEqual(t, exact[item.Key], item.Count+1e-9, item.Key)
		require.GreaterOrEqual(t, exact[item.Key], item.Count-item.Error-1e-9, item.Key)
	}
	for key, n := range exact {
		if !listed[key] {
			require.LessOrEqual(t, n, s.Unlisted()+1e-9, key)
		}
	}
	require.LessOrEqual(t, s.Unlisted(), total/float64(s.capacity)+1e-9)
}

func TestBounds(t *testing.T) {
	for _, capacity := range []int{1, 7, 100, 1000, 100_000} {
		stream, exact := zipf(uint64(capacity), 5_000)
		s := count(capacity, stream)
		requireBounds(t, s, exact)
		require.LessOrEqual(t, s.Len(), capacity)
		requireHeap(t, s)
	}
}

// requireHeap checks that no floor is above its entry's count, nor above those below it.
func requireHeap(t *testing.T, s *Summary) {
	require.Len(t, s.heap, s.Len())
	for i, n := range s.heap {
		require.LessOrEqual(t, n.floor, s.counters[n.at].count)
		require.LessOrEqual(t, s.heap[max(i-1, 0)/2].floor, n.floor)
	}
	taken := 0
	for _, slot := range s.slots {
		if slot != 0 {
			taken++
		}
	}
	require.Equal(t, s.Len(), taken)
	for i, key := range s.keys {
		require.Equal(t, int32(i), s.lookup(key), key)
	}
}

// With eight counters for each of the keys that are wanted, the right ones are found.
func TestRecall(t *testing.T) {
	stream, exact := zipf(5, 50_000)
	all := count(len(exact), stream)
	s := count(8*500, stream)
	wanted := map[string]bool{}
	for _, item := range all.Top(500) {
		wanted[item.Key] = true
	}
	found := 0
	for _, item := range s.Top(500) {
		if wanted[item.Key] {
			found++
		}
	}
	require.GreaterOrEqual(t, found, 460)
}

// Counts stay within bounds when old ones count half.
func TestHalve(t *testing.T) {
	s := New(50)
	exact := map[string]float64{}
	for round := range uint64(5) {
		stream, _ := zipf(round, 3000)
		for _, key := range stream {
			s.Add([]byte(key), 0)
			exact[key]++
		}
		s.Halve()
		for key := range exact {
			exact[key] /= 2
		}
	}
	requireBounds(t, s, exact)
	requireHeap(t, s)
}

func TestMerge(t *testing.T) {
	one, exact := zipf(1, 10_000)
	two, more := zipf(2, 5_000)
	for key, n := range more {
		exact[key] += n
	}
	for _, capacities := range [][2]int{{100, 100}, {100, 1000}, {5000, 100}, {5000, 5000}} {
		s, other := count(capacities[0], one), count(capacities[1], two)
		before, err := other.MarshalBinary()
		require.NoError(t, err)
		s.Merge(other)
		for _, item := range s.Top(s.Len()) {
			require.LessOrEqual(t, exact[item.Key], item.Count, item.Key)
			require.GreaterOrEqual(t, exact[item.Key], item.Count-item.Error, item.Key)
		}
		requireHeap(t, s)
		after, err := other.MarshalBinary()
		require.NoError(t, err)
		require.Equal(t, before, after)
	}
}

func TestTop(t *testing.T) {
	s := count(10, []string{"b", "a", "a", "c"})
	require.Equal(t, []Item{{Key: "a", Count: 2}, {Key: "b", Count: 1}, {Key: "c", Count: 1}}, s.Top(9))
	require.Len(t, s.Top(1), 1)
	require.Empty(t, s.Top(-1))
	require.Zero(t, s.Unlisted())
	require.Empty(t, New(0).Top(1))
}

func address(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

func TestClients(t *testing.T) {
	for n, slack := range map[int]float64{0: 0, 1: 0, 2: 1, 5: 1, 10: 2, 30: 6, 100: 25, 1000: 400, 100_000: 40_000, 500_000: 200_000} {
		var r registers
		for range 3 {
			for i := range n {
				r.add(Client(address(i)))
			}
		}
		require.InDelta(t, n, r.estimate(), slack, n)
	}
}

func TestClientsHalve(t *testing.T) {
	sum := 0.0
	const rounds, n = 50, 2000
	for round := range rounds {
		var r registers
		for i := range n {
			r.add(Client(address(round*n + i)))
		}
		r.halve()
		sum += float64(r.estimate())
	}
	require.InEpsilon(t, n/2, sum/rounds, 0.1)

	var r registers
	r.add(Client(address(1)))
	for range 60 {
		r.halve()
	}
	require.Zero(t, r)
}

func TestClient(t *testing.T) {
	same := func(a, b string) bool { return Client(netip.MustParseAddr(a)) == Client(netip.MustParseAddr(b)) }
	require.True(t, same("2001:db8::1", "2001:db8::ffff:1"), "one /64")
	require.False(t, same("2001:db8::1", "2001:db8:0:1::1"))
	require.False(t, same("192.0.2.1", "192.0.2.2"))
	require.True(t, same("192.0.2.1", "::ffff:192.0.2.1"))
	require.NotZero(t, Client(netip.MustParseAddr("::")))
	require.Zero(t, Client(netip.Addr{}))
}

func TestBinary(t *testing.T) {
	stream, _ := zipf(1, 1000)
	s := count(100, stream)
	s.Add([]byte("/page/1"), Client(address(1)))
	data, err := s.MarshalBinary()
	require.NoError(t, err)
	read := New(1)
	require.NoError(t, read.UnmarshalBinary(data))
	require.Equal(t, s.Top(100), read.Top(100))
	require.Equal(t, s.Capacity(), read.Capacity())
	require.Equal(t, s.Unlisted(), read.Unlisted())
	for n := 0; n < len(data); n += 7 {
		require.Error(t, read.UnmarshalBinary(data[:n]))
	}
	require.Error(t, read.UnmarshalBinary(append(data, 0)))
	require.Equal(t, s.Top(100), read.Top(100), "bad data changes nothing")
}

func FuzzUnmarshal(f *testing.F) {
	stream, _ := zipf(1, 100)
	data, err := count(10, stream).MarshalBinary()
	require.NoError(f, err)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		s := New(1)
		if s.UnmarshalBinary(data) != nil {
			return
		}
		s.Add([]byte("new"), 1)
		s.Halve()
		for _, item := range s.Top(s.Len()) {
			if item.Error > item.Count || math.IsNaN(item.Count) || item.Clients < 0 {
				t.Fatalf("%+v", item)
			}
		}
		requireHeap(t, s)
	})
}

func TestCapacity(t *testing.T) {
	for asked, want := range map[int]int{-1: 1, 0: 1, 1: 1, 100_000: 100_000, 1 << 30: 1 << 20} {
		require.Equal(t, want, New(asked).Capacity())
	}
}

// Neither a key that is listed nor one that takes a place over is work for the collector.
func TestAddAllocatesOnlyToGrow(t *testing.T) {
	s := New(10)
	keys := [][]byte{}
	for i := range 20 {
		keys = append(keys, fmt.Appendf(nil, "/page/%02d", i))
		s.Add(keys[i], 1)
	}
	next := 0
	require.Zero(t, testing.AllocsPerRun(100, func() { s.Add(keys[next%len(keys)], 1); next++ }))
}

// What a smaller Summary has forgotten is not taken for what never occurred.
func TestMergeOfASmaller(t *testing.T) {
	large, small := New(100), New(2)
	large.Add([]byte("a"), 0)
	for _, key := range []string{"b", "b", "c", "c", "d"} {
		small.Add([]byte(key), 0)
	}
	for _, merge := range []func() *Summary{
		func() *Summary { s := New(100); s.Merge(large); s.Merge(small); return s },
		func() *Summary { s := New(2); s.Merge(small); s.Merge(large); return s },
	} {
		s := merge()
		for key, n := range map[string]float64{"a": 1, "b": 2, "c": 2, "d": 1} {
			if i := s.lookup([]byte(key)); i >= 0 {
				require.GreaterOrEqual(t, s.counters[i].count, n, key)
				require.LessOrEqual(t, s.counters[i].count-s.counters[i].error, n, key)
			} else {
				require.GreaterOrEqual(t, s.Unlisted(), n, key)
			}
		}
	}
}
