package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Where Debian keeps what guests and kernels are made of.
const (
	umlModules   = "/usr/lib/uml/modules"
	kernelSource = "/usr/src/linux-source-6.1.tar.xz"
)

// requireVar lists the judges that a run must have.
const requireVar = "BERRYRACK_REQUIRE"

// programDirs are searched after $PATH: where Debian keeps what it does not
// put on an ordinary user's path.
var programDirs = []string{"/usr/sbin", "/sbin", "/usr/lib/klibc/bin"}

// Need skips the test unless BERRYRACK_REQUIRE names every judge, and fails it
// when one that is named is missing. A judge is the name of a program, or
//
//	root    the test runs as root
//	netns   root, and programs that make namespaces and interfaces
//	uml     Debian's user-mode Linux, with its modules, and busybox
//	kernel  what [NFSRootKernel] is built from
func Need(t testing.TB, judges ...string) {
	t.Helper()
	for _, judge := range judges {
		if !required(os.Getenv(requireVar), judge) {
			t.Skipf("%s does not name %q", requireVar, judge)
		}
	}
	for _, judge := range judges {
		if missing := lacks(judge); missing != "" {
			t.Fatalf("%s names %q, but this machine lacks %s", requireVar, judge, missing)
		}
	}
}

// Program is [Need] for one program, and returns its path.
func Program(t testing.TB, name string) string {
	t.Helper()
	Need(t, name)
	return find(name)
}

func required(list, judge string) bool {
	names := strings.Split(list, ",")
	return slices.Contains(names, "all") || slices.Contains(names, judge)
}

// lacks names what is missing for a judge, "" when nothing is.
func lacks(judge string) string {
	parts := map[string][]string{
		"root":   {"root"},
		"netns":  {"root", "ip", "/dev/net/tun"},
		"uml":    {"linux.uml", "busybox", umlModules},
		"kernel": {kernelSource, "make", "gcc", "flex", "bison", "bc", "xz"},
	}[judge]
	if parts == nil {
		parts = []string{judge}
	}
	for _, part := range parts {
		if !present(part) {
			return part
		}
	}
	return ""
}

func present(part string) bool {
	switch {
	case part == "root":
		return os.Geteuid() == 0
	case filepath.IsAbs(part):
		_, err := os.Stat(part)
		return err == nil
	}
	return find(part) != ""
}

// find returns the path of a program, "" when there is none.
func find(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range programDirs {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return ""
}

// Run runs a program, found as [Need] finds it, fails the test when it fails,
// and returns what it printed.
func Run(t testing.TB, name string, args ...string) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), Program(t, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, output)
	}
	return string(output)
}
