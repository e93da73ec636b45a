package embedded_test

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/embedded"
	"github.com/berryrack/berryrack/internal/lab"
)

// dig is the judge of the wire format, EDNS and unknown versions of it included.
func TestDig(t *testing.T) {
	lab.Need(t, "dig")
	r := &embedded.Responder{Zones: []string{zone}}
	host, port, _ := net.SplitHostPort(serve(t, r))
	require.NoError(t, r.AppendTXT(t.Context(), acme.Record{Name: "x." + zone, Value: "value", TTL: time.Minute}))
	dig := func(args ...string) string {
		return lab.Run(t, "dig", append([]string{"@" + host, "-p", port, "x." + zone, "TXT"}, args...)...)
	}
	require.Equal(t, "\"value\"\n", dig("+short"))
	require.Contains(t, dig(), "flags: qr aa rd; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 1")
	require.Contains(t, dig("+edns=1", "+noednsnegotiation"), "status: BADVERS")
	require.NotContains(t, dig("+noedns"), "OPT PSEUDOSECTION")
}
