package weblab

import (
	"net/http"
	"path/filepath"
	"testing"
)

// Clock is what servers take for the time.
type Clock struct{ wrong string } // the file that says by how much it is wrong

// FakeClock gives the servers that the test starts from here on a Clock, by Debian's faketime. It is right at first.
func FakeClock(t *testing.T) *Clock {
	t.Helper()
	c := &Clock{WriteFile(t, filepath.Join(Dir(t), "clock"), "+0s")}
	t.Setenv("LD_PRELOAD", Run(t, "faketime", "-f", "+0s", "sh", "-c", `printf %s "$LD_PRELOAD"`))
	t.Setenv("FAKETIME_TIMESTAMP_FILE", c.wrong)
	t.Setenv("FAKETIME_NO_CACHE", "1")
	t.Setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
	return c
}

// Step makes the clock wrong by an offset: "+2m", "-20y".
func (c *Clock) Step(t *testing.T, offset string) {
	t.Helper()
	WriteFile(t, c.wrong, offset)
}

// CheckClock steps the clock of a server that has a page for "/" for the next 50 seconds: nobody gets an error, nor
// the page at another time than that. The clock is right in the end.
func CheckClock(t *testing.T, c *Clock, address, host string) {
	t.Helper()
	for _, one := range []struct{ offset, body string }{
		{"+0s", "static /"},
		{"+2m", "origin GET /"}, {"-2m", "origin GET /"}, {"+26h", "origin GET /"}, {"-26h", "origin GET /"},
		{"+10s", "static /"}, // too old by ten seconds, at most: the server cannot know
		{"+10y", "origin GET /"}, {"-20y", "origin GET /"},
		{"+0s", "static /"},
	} {
		c.Step(t, one.offset)
		for range 10 {
			if got := Get(t, address, host, "/"); got.StatusCode != http.StatusOK || got.Body != one.body {
				t.Errorf("the clock is wrong by %s: %d %.80q, want %q", one.offset, got.StatusCode, got.Body, one.body)
			}
		}
	}
}
