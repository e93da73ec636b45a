package lab

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// againVar names, in a child, the test that it was started to run.
const againVar = "BERRYRACK_LAB_TEST"

// isAgain reports whether this process was started to run t.
func isAgain(t *testing.T) bool { return os.Getenv(againVar) == t.Name() }

// again returns the command line that runs t alone, with the time that t has left.
func again(t *testing.T) []string {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(t.Name(), "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	left := 10 * time.Minute
	if deadline, ok := t.Deadline(); ok {
		left = time.Until(deadline) - 5*time.Second
	}
	args := []string{self, "-test.v", "-test.count=1", "-test.timeout=" + left.String(), "-test.run=" + strings.Join(parts, "/")}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	return args
}

// adopt makes the outcome of the child that ran t the outcome of t.
func adopt(t *testing.T, where, output string, err error) {
	t.Helper()
	switch {
	case err != nil:
		t.Fatalf("%s: %v\n%s", where, err, output)
	case !strings.Contains(output, "--- PASS: "+t.Name()):
		t.Fatalf("%s: the test did not run\n%s", where, output)
	default:
		t.Logf("%s:\n%s", where, output)
	}
}
