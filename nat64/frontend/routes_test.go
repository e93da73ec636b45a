package frontend

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCandidates(t *testing.T) {
	now := time.Unix(1000, 0)
	var backends []*backend
	for _, text := range []string{"2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"} {
		backends = append(backends, &backend{addr: netip.MustParseAddr(text)})
	}
	s := &site{backends: backends}
	order := func() (last []byte) {
		for _, b := range s.candidates(now) {
			last = append(last, b.addr.As16()[15])
		}
		return last
	}
	backends[0].active.Store(3)
	backends[1].active.Store(1)
	backends[1].total.Store(50)
	backends[2].active.Store(1)
	require.Equal(t, []byte{4, 3, 2, 1}, order(), "least connections, then least used")
	backends[3].refused(now) // without health checks: avoided for a while
	require.Equal(t, []byte{3, 2, 1, 4}, order())
	now = now.Add(retryAfter)
	require.Equal(t, []byte{4, 3, 2, 1}, order())
	backends[2].probe = netip.MustParseAddrPort("[2001:db8::3]:443")
	backends[2].refused(now) // with them: until one succeeds
	now = now.Add(time.Hour)
	require.Equal(t, []byte{4, 2, 1, 3}, order(), "still tried, when nothing else is left")
}

func TestLookup(t *testing.T) {
	r := &routes{sites: map[string]*site{}}
	for _, name := range []string{"example.org", "*.example.org", "*.deep.example.org", "www.example.org", "*"} {
		r.sites[name] = &site{Site: Site{Names: []string{name}}}
	}
	for name, want := range map[string]string{
		"example.org": "example.org", "www.example.org": "www.example.org", "a.example.org": "*.example.org", "a.b.example.org": "*.example.org",
		"x.deep.example.org": "*.deep.example.org", "deep.example.org": "*.example.org", "example.net": "*", "": "*", "localhost": "*",
	} {
		require.Equal(t, want, r.lookup(name).Names[0], name)
	}
	delete(r.sites, "*")
	require.Nil(t, r.lookup("example.net"))
	require.Nil(t, r.lookup(""))
}
