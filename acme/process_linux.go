package acme

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// thisProcess returns the process that asks.
func thisProcess() process { return processOf(os.Getpid()) }

// processOf describes a running process; the zero value when there is none.
func processOf(pid int) process {
	stat, err := readStat(pid)
	if err != nil {
		return process{}
	}
	return process{PID: pid, Began: stat.began, Host: host(), Boot: bootID(), Space: pidNamespace()}
}

func (p process) state() processState {
	switch {
	case p.PID == 0 || p.Host != host():
		return unknown
	case p.Boot != bootID():
		return ended
	case p.Space != pidNamespace():
		return unknown
	case errors.Is(unix.Kill(p.PID, 0), unix.ESRCH): // /proc may hide the processes of others
		return ended
	}
	stat, err := readStat(p.PID)
	switch {
	case err != nil:
		return unknown
	case stat.began != p.Began || stat.state == "Z":
		return ended
	}
	return running
}

// host returns what tells this host from others that share a filesystem with it:
// its name as well, as hosts that boot from one root have one machine-id.
func host() string {
	name, _ := os.Hostname()
	id, _ := os.ReadFile("/etc/machine-id")
	return name + " " + strings.TrimSpace(string(id))
}

func pidNamespace() string {
	space, _ := os.Readlink("/proc/self/ns/pid")
	return space
}

func bootID() string {
	data, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(data))
}

// stat is what of /proc/PID/stat is of use here: see proc(5).
type stat struct {
	state  string
	parent int
	began  uint64
}

func readStat(pid int) (stat, error) {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, err
	}
	// The command, in parentheses, may itself hold blanks and parentheses.
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	if len(fields) < 20 {
		return stat{}, errors.New("acme: /proc/PID/stat has too few fields")
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return stat{}, err
	}
	began, err := strconv.ParseUint(fields[19], 10, 64)
	return stat{fields[0], parent, began}, err
}

// ancestor returns the nearest process above this one that runs one of the
// named programs, by itself or as a script; the zero value when there is none.
func ancestor(programs ...string) process {
	stat, err := readStat(os.Getpid())
	for err == nil && stat.parent > 1 {
		if runs(stat.parent, programs) {
			return processOf(stat.parent)
		}
		stat, err = readStat(stat.parent)
	}
	return process{}
}

func runs(pid int, programs []string) bool {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return false
	}
	args := strings.Split(string(data), "\x00")
	return slices.ContainsFunc(args[:min(2, len(args))], func(arg string) bool {
		return slices.Contains(programs, filepath.Base(arg))
	})
}
