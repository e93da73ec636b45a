package acme_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/acme"
)

func TestCanonicalName(t *testing.T) {
	for name, want := range map[string]string{
		"Example.ORG":                    "example.org.",
		"example.org.":                   "example.org.",
		"_acme-challenge.bücher.example": "_acme-challenge.xn--bcher-kva.example.",
		"faß.example":                    "xn--fa-hia.example.",
	} {
		got, err := acme.CanonicalName(name)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, name := range []string{"", ".", "a..b", "a\\.b", "a/b", "../x", strings.Repeat("a", 64) + ".b", strings.Repeat("a.", 130), "*.example.org", "a\x00b"} {
		_, err := acme.CanonicalName(name)
		require.Error(t, err, name)
	}
}

func TestLongestZone(t *testing.T) {
	zones := []string{"org", "example.org.", "Sub.Example.org", "ample.org"}
	require.Equal(t, "sub.example.org.", acme.LongestZone("a.sub.example.org.", zones))
	require.Equal(t, "example.org.", acme.LongestZone("notsub.example.org.", zones))
	require.Equal(t, "org.", acme.LongestZone("anexample.org.", zones))
	require.Empty(t, acme.LongestZone("example.com.", zones))
}

func FuzzCanonicalName(f *testing.F) {
	for _, seed := range []string{"example.org", "*.BÜCHER.example.", "_acme-challenge..", "xn--a", "a\u3002b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		once, err := acme.CanonicalName(name)
		if err != nil {
			return
		}
		twice, err := acme.CanonicalName(once)
		require.NoError(t, err)
		require.Equal(t, once, twice)
		require.NotContains(t, once, "/", "it becomes a file's name")
	})
}
