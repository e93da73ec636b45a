package frontend

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// hello returns the ClientHello that crypto/tls sends.
func hello(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		_ = tls.Client(far, config).Handshake()
		far.Close()
	}()
	header := make([]byte, recordHeader)
	_, err := io.ReadFull(near, header)
	require.NoError(t, err)
	body := make([]byte, int(header[3])<<8|int(header[4]))
	_, err = io.ReadFull(near, body)
	require.NoError(t, err)
	return append(header, body...)
}

// fragments cuts a ClientHello into records of n octets.
func fragments(hello []byte, n int) []byte {
	var out []byte
	for rest := hello[recordHeader:]; len(rest) > 0; {
		part := rest[:min(n, len(rest))]
		rest = rest[len(part):]
		out = append(out, 22, 3, 1, byte(len(part)>>8), byte(len(part)))
		out = append(out, part...)
	}
	return out
}

func TestReadClientHello(t *testing.T) {
	named := hello(t, &tls.Config{ServerName: "WWW.example.org"})
	for _, n := range []int{1, 3, 4, 5, 100, 16384} {
		records := fragments(named, n)
		raw, name, err := readClientHello(iotest.OneByteReader(bytes.NewReader(records)), nil, 16384)
		require.NoError(t, err)
		require.Equal(t, "www.example.org", name)
		require.Equal(t, records, raw, "all goes to the backend")
	}
	_, name, err := readClientHello(bytes.NewReader(hello(t, &tls.Config{InsecureSkipVerify: true})), nil, 16384)
	require.NoError(t, err)
	require.Empty(t, name)
	old := hello(t, &tls.Config{ServerName: "old.example.org", MaxVersion: tls.VersionTLS12})
	_, name, err = readClientHello(bytes.NewReader(old), make([]byte, 0, 64), 16384)
	require.NoError(t, err)
	require.Equal(t, "old.example.org", name)
}

func TestReadClientHelloRefused(t *testing.T) {
	good := hello(t, &tls.Config{ServerName: "www.example.org"})
	long := hello(t, &tls.Config{ServerName: "www.example.org", NextProtos: strings.Split(strings.Repeat("protocol-of-some-length,", 200)+"end", ",")})
	replaced := func(name string) []byte {
		return bytes.Replace(bytes.Clone(good), []byte("www.example.org"), []byte(name), 1)
	}
	for what, test := range map[string]struct {
		sent []byte
		want error
	}{
		"HTTP":              {[]byte("GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n"), errNotTLS},
		"PROXY":             {[]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"), errNotTLS},
		"nothing":           {nil, io.EOF},
		"half":              {good[:60], io.ErrUnexpectedEOF},
		"empty fragment":    {[]byte{22, 3, 1, 0, 0}, errNotTLS},
		"alert":             {[]byte{21, 3, 1, 0, 2, 2, 40}, errNotTLS},
		"ServerHello":       {[]byte{22, 3, 1, 0, 4, 2, 0, 0, 0}, errNotTLS},
		"long record":       {[]byte{22, 3, 1, 0xff, 0xff, 1}, errNotTLS},
		"long":              {long, errHelloSize},
		"promised long":     {[]byte{22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff}, errHelloSize},
		"something follows": {append(bytes.Clone(fragments(good, 16384)[:3]), append([]byte{byte((len(good) - 4) >> 8), byte(len(good) - 4)}, append(bytes.Clone(good[5:]), 0)...)...), errNotTLS},
		"no host name":      {replaced("www/example/org"), errServerNames},
		"NUL":               {replaced("www.exam\x00le.org"), errServerNames},
		"address":           {replaced("-ww.example.org"), errServerNames},
		"empty label":       {replaced("www..xample.org"), errServerNames},
	} {
		_, name, err := readClientHello(bytes.NewReader(test.sent), nil, 4096)
		require.ErrorIs(t, err, test.want, what)
		require.Empty(t, name, what)
	}
}

// replay is a connection whose other end has said all, and does not listen.
type replay struct {
	io.Reader
	net.Conn
}

func (r replay) Read(b []byte) (int, error)  { return r.Reader.Read(b) }
func (r replay) Write(b []byte) (int, error) { return len(b), nil }
func (r replay) Close() error                { return nil }

// theirName is what crypto/tls reads from the octets, as a server.
func theirName(octets []byte) (name string, ok bool) {
	server := tls.Server(replay{Reader: bytes.NewReader(octets)}, &tls.Config{GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
		name, ok = canonical(info.ServerName), true
		return nil, io.EOF
	}})
	_ = server.Handshake()
	return name, ok
}

// A name that we route by is the name that the backend reads.
func FuzzReadClientHello(f *testing.F) {
	f.Add(hello(f, &tls.Config{ServerName: "www.example.org"}))
	f.Add(hello(f, &tls.Config{InsecureSkipVerify: true}))
	f.Add(fragments(hello(f, &tls.Config{ServerName: "a.b", MaxVersion: tls.VersionTLS12}), 50))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, octets []byte) {
		raw, name, err := readClientHello(bytes.NewReader(octets), nil, 16384)
		require.LessOrEqual(t, len(raw), 16384)
		require.True(t, bytes.HasPrefix(octets, raw) || err != nil)
		if err != nil {
			require.Empty(t, name)
			return
		}
		if theirs, ok := theirName(raw); ok {
			require.Equal(t, theirs, name)
		}
	})
}
