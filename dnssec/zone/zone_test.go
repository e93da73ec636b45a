package zone

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func name(t testing.TB, text string) Name {
	t.Helper()
	n, err := ParseName(text)
	require.NoError(t, err)
	return n
}

func text(t testing.TB, z *Zone) string {
	t.Helper()
	var b strings.Builder
	_, err := z.WriteTo(&b)
	require.NoError(t, err)
	return b.String()
}

func TestParse(t *testing.T) {
	z, warnings, err := Parse([]byte(`$TTL 1h
@ IN SOA ns Host\.Master 1 2h 3 4 5 ; comment
	NS ns
	MX 10 Mail.example.com.
ns 300 A 192.0.2.1
	AAAA 2001:db8::1
\065b TXT "a b" c\"d ( "e"
   f )
$ORIGIN sub
x IN 60 SRV 1 2 3 Y
  TYPE65535 \# 3 abcdef
x HTTPS 1 . alpn=h2
*foo NSEC3PARAM 1 0 0 -
\042 LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
`), "test", name(t, "example."))
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Equal(t, `x`, text(t, z))
}
