package lab

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	umlKernel = "linux.uml"
	// guestExit begins the line on which a guest prints the test's exit status.
	guestExit = "lab: exit status "
)

// InGuest reports whether the test runs in a user-mode Linux guest with the
// named kernel modules and what they depend on. When it does not, InGuest runs
// the same test again in one, takes over its outcome and returns false, as
// [Isolated] does. The guest sees the machine's files, read-only; its /run is
// its own, and so is what t.TempDir makes there.
func InGuest(t *testing.T, modules ...string) bool {
	t.Helper()
	if isAgain(t) {
		return true
	}
	Need(t, "uml")
	script := filepath.Join(t.TempDir(), "init")
	if err := os.WriteFile(script, []byte(guestInit(t, modules)), 0o755); err != nil {
		t.Fatal(err)
	}
	console, err := Boot(t.Context(), find(umlKernel), "mem=512M", "root=none", "rootfstype=hostfs", "rootflags=/", "ro", "quiet", "init="+script)
	if err == nil && !strings.Contains(console, guestExit+"0\n") {
		err = fmt.Errorf("no %q on the console", guestExit+"0")
	}
	adopt(t, "in a guest", console, err)
	return false
}

// guestInit returns the guest's first program, which runs t and powers off.
func guestInit(t *testing.T, modules []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs run /run
/bin/busybox mkdir -m 1777 /run/tmp
/bin/busybox ip link set lo up
`)
	for _, path := range moduleFiles(t, modules) {
		fmt.Fprintf(&b, "/bin/busybox insmod %s\n", path)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "cd %s\n", quote(dir))
	for _, variable := range append(os.Environ(), "TMPDIR=/run/tmp", againVar+"="+t.Name()) {
		name, value, _ := strings.Cut(variable, "=")
		if isShellName(name) {
			fmt.Fprintf(&b, "export %s=%s\n", name, quote(value))
		}
	}
	for _, arg := range again(t) {
		fmt.Fprintf(&b, "%s ", quote(arg))
	}
	fmt.Fprintf(&b, "2>&1\necho \"%s$?\"\n/bin/busybox poweroff -f\n", guestExit)
	return b.String()
}

// moduleFiles returns the files of the modules and of what they need, in the
// order in which they can be loaded.
func moduleFiles(t *testing.T, modules []string) []string {
	list, err := filepath.Glob(filepath.Join(umlModules, "*", "modules.dep"))
	if err != nil || len(list) != 1 {
		t.Fatalf("lab: want one kernel's modules in %s, found %q", umlModules, list)
	}
	needs, names := moduleDeps(t, list[0])
	var files []string
	for _, module := range modules {
		file, ok := names[module]
		if !ok {
			continue // built into the kernel
		}
		// modules.dep names the nearest dependency first.
		for _, path := range slices.Backward(append([]string{file}, needs[file]...)) {
			if !slices.Contains(files, path) {
				files = append(files, path)
			}
		}
	}
	for i, file := range files {
		files[i] = filepath.Join(filepath.Dir(list[0]), file)
	}
	return files
}

// moduleDeps reads modules.dep: what each file needs, and each module's file.
func moduleDeps(t *testing.T, path string) (needs map[string][]string, names map[string]string) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	needs, names = map[string][]string{}, map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		file, deps, _ := strings.Cut(lines.Text(), ":")
		needs[file] = strings.Fields(deps)
		name := strings.TrimSuffix(filepath.Base(file), ".ko")
		names[strings.ReplaceAll(name, "-", "_")] = file
	}
	return needs, names
}

// quote makes one word of a shell's.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func isShellName(s string) bool {
	return s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == ""
}
