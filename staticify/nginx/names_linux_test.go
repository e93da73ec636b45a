package nginx_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/staticify"
	"github.com/berryrack/berryrack/staticify/internal/weblab"
	"github.com/berryrack/berryrack/staticify/nginx"
)

// rules are such that each part of the expressions matters.
var rules = staticify.Query{Ignore: []string{"utm_*", "gclid", "p*"}, Keep: []string{"page", "s", "utm_id", "x.*"}}

// pieces are what targets are made of.
var pieces = []string{
	"/", "/", "/", "a", "blog", "B", ".", "..", "%2e", "%2F", "%C3%A9", "%c3%a9", "%", "%zz", "?", "?", "&", "&", "=", "page", "page=2", "s=a+b", "s", "utm_x=1", "utm_id=3",
	"utm_", "gclid", "gclid=x", "p=1", "pa", "x.y=1", "x.", "xy=1", "#", ";", "'", "(", "!", "$", "^", "~", "@", ":", "*", "+", ",", "é", "\\", "{", "|", "\"", "<", "%0a", "%20", "%5E",
}

// For any target, nginx makes the name of the very file that our rules make, or none.
func TestNames(t *testing.T) {
	lab.Need(t, "nginx")
	dir := weblab.Dir(t)
	c := nginx.Config{Host: host, Root: filepath.Join(dir, "www"), Query: rules}
	text, err := c.HTTP(nginx.Table{})
	require.NoError(t, err)
	weblab.WriteFile(t, filepath.Join(dir, "http.conf"), string(text))
	address := weblab.Address(t)
	weblab.StartNginx(t, address, fmt.Sprintf(`include %s/http.conf;
		server { listen %s; keepalive_requests 1000000; location / { return 200 $staticify_file; } }`, dir, address))
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	r := bufio.NewReader(conn)
	random := rand.New(rand.NewPCG(1, 2))
	both, neither, only := 0, 0, 0
	for range 20000 {
		target := "/"
		for range random.IntN(9) {
			target += pieces[random.IntN(len(pieces))]
		}
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, host)
		response, err := http.ReadResponse(r, nil)
		require.NoError(t, err, target)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		if response.StatusCode == http.StatusBadRequest { // nginx closes the connection
			conn.Close()
			conn, err = net.Dial("tcp", address)
			require.NoError(t, err)
			r.Reset(conn)
			body = []byte("/.off")
		}
		key, refusal := rules.Canonical(target)
		switch {
		case string(body) == "/.off" && refusal != nil:
			neither++
		case string(body) == "/.off":
			only++ // ignored parameters between kept ones
		case refusal == nil:
			require.Equal(t, "/"+key.FileName(), string(body), target)
			both++
		default:
			// Such a file is never published: no key has its name.
			unwanted(t, target, string(body), refusal)
		}
	}
	t.Logf("a file for both %d times, for neither %d times, for our rules alone %d times", both, neither, only)
	require.Greater(t, both, 1000)
	require.Less(t, only, both/20)
}

// unwanted checks that a name which nginx has made of a target without a key is no other key's either.
func unwanted(t *testing.T, target, name string, refusal error) {
	t.Helper()
	require.ErrorIs(t, refusal, &staticify.Refusal{Reason: staticify.BadPath}, target)
	path, query, _ := strings.Cut(name, "^")
	if query != "" {
		path += "?" + strings.TrimSuffix(query, "^")
	}
	_, err := rules.Canonical(path)
	require.Error(t, err, "%s is answered with %s", target, name)
}
