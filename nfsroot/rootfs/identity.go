package rootfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Identity is what tells one Pi's root from another's.
type Identity struct {
	// Hostname is the Pi's name. With a domain ("pi1.example.org") the first
	// label goes to /etc/hostname, and both to /etc/hosts. "" leaves the
	// golden tree's.
	Hostname string
	// Files are the files that the Pi has for itself: its network
	// configuration, resolv.conf, munin-node.conf. They take the place of any
	// other edit of the same path.
	Files []File
}

// File is one file of a Pi's own.
type File struct {
	Path string      // relative to the root, "etc/resolv.conf"
	Data []byte      // the whole content
	Mode fs.FileMode // permissions; 0 keeps those of the file it replaces, or 0644
}

// Edit is one change that Personalise makes.
type Edit struct {
	Path   string // relative to the root
	Reason string // "hostname pi1"

	data   []byte
	mode   fs.FileMode
	remove bool
}

// String returns the edit as a line for people.
func (e Edit) String() string { return e.Path + ": " + e.Reason }

// present is what a path of a tree holds before an edit.
type present struct {
	exists, regular bool
	mode            fs.FileMode // permissions
	data            []byte      // of a regular file
}

// reader reads a tree without following symbolic links. What does not exist
// is no error.
type reader interface {
	read(path string) (present, error)
	list(dir string) ([]string, error)
}

var hostLabel = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// check reports everything that is wrong with an identity.
func (id Identity) check() error {
	var problems []error
	if id.Hostname != "" {
		for label := range strings.SplitSeq(id.Hostname, ".") {
			if !hostLabel.MatchString(label) {
				problems = append(problems, fmt.Errorf("host name %q: %q is no label of letters, digits and inner hyphens (RFC 1123, section 2.1)", id.Hostname, label))
			}
		}
	}
	seen := map[string]bool{}
	for _, file := range id.Files {
		p := cleanPath(file.Path)
		switch {
		case p == "" || strings.Contains(p, "\x00") || slices.Contains(strings.Split(file.Path, "/"), ".."):
			problems = append(problems, fmt.Errorf("file %q: no path below a root", file.Path))
		case seen[p]:
			problems = append(problems, fmt.Errorf("file %q: named twice", file.Path))
		}
		seen[p] = true
	}
	return errors.Join(problems...)
}

// edits returns what has to change in a copy of the golden tree to make it
// this Pi's: nothing, when it is already.
func (id Identity) edits(tree reader) ([]Edit, error) {
	if err := id.check(); err != nil {
		return nil, err
	}
	d := draft{tree: tree, decided: map[string]bool{}}
	for _, file := range id.Files {
		d.write(cleanPath(file.Path), file.Data, file.Mode, "the Pi's own")
	}
	if id.Hostname != "" {
		short, _, _ := strings.Cut(id.Hostname, ".")
		d.write("etc/hostname", []byte(short+"\n"), 0, "hostname "+short)
		d.rewrite("etc/hosts", "127.0.1.1 is "+id.Hostname, true, func(old string) string { return hosts(old, id.Hostname) })
	}
	d.rewrite("etc/machine-id", "empty, made at boot", false, func(string) string { return "" })
	d.removeRegular("var/lib/dbus/machine-id", "a copy of another machine's id")
	d.hostKeys()
	d.rewrite("etc/fstab", "without the SD card", false, fstab)
	for _, p := range []string{"boot/cmdline.txt", "boot/firmware/cmdline.txt"} {
		d.rewrite(p, "without what breaks an NFS root", false, cmdline)
	}
	slices.SortFunc(d.list, func(a, b Edit) int { return strings.Compare(a.Path, b.Path) })
	return d.list, d.err
}

// draft collects the edits of one tree. The first word on a path counts.
type draft struct {
	tree    reader
	decided map[string]bool
	list    []Edit
	err     error
}

func (d *draft) read(p string) present {
	old, err := d.tree.read(p)
	d.err = errors.Join(d.err, err)
	return old
}

// write makes p a regular file with this content.
func (d *draft) write(p string, data []byte, mode fs.FileMode, reason string) {
	if d.decided[p] {
		return
	}
	d.decided[p] = true
	old := d.read(p)
	if mode == 0 {
		mode = 0o644
		if old.regular {
			mode = old.mode
		}
	}
	if !old.regular || old.mode != mode || !bytes.Equal(old.data, data) {
		d.list = append(d.list, Edit{Path: p, Reason: reason, data: data, mode: mode})
	}
}

// rewrite changes the content of p, which is made only when create is set.
func (d *draft) rewrite(p, reason string, create bool, change func(old string) string) {
	old := d.read(p)
	if !old.regular && !create {
		return
	}
	d.write(p, []byte(change(string(old.data))), 0, reason)
}

func (d *draft) removeRegular(p, reason string) {
	if !d.decided[p] && d.read(p).regular {
		d.list = append(d.list, Edit{Path: p, Reason: reason, remove: true})
	}
}

// makeHostKeys makes the keys that are missing before sshd checks that it has
// some. Debian makes them only when the package is installed.
const makeHostKeys = `# Each root makes its own host keys at its first boot.
[Service]
ExecStartPre=
ExecStartPre=/usr/bin/ssh-keygen -A
ExecStartPre=/usr/sbin/sshd -t
`

// hostKeys removes the golden tree's SSH host keys: eight hosts with one key
// are one host to whoever knows the key.
func (d *draft) hostKeys() {
	names, err := d.tree.list("etc/ssh")
	d.err = errors.Join(d.err, err)
	for _, name := range names {
		if strings.HasPrefix(name, "ssh_host_") && strings.Contains(name, "_key") {
			d.removeRegular(path.Join("etc/ssh", name), "made at first boot")
		}
	}
	programs, err := d.tree.list("usr/sbin")
	d.err = errors.Join(d.err, err)
	if slices.Contains(programs, "sshd") {
		d.write("etc/systemd/system/ssh.service.d/host-keys.conf", []byte(makeHostKeys), 0, "makes SSH host keys at first boot")
	}
}

// hosts sets the line of 127.0.1.1, which Debian gives to the host's own name.
func hosts(old, hostname string) string {
	names := hostname
	if short, _, ok := strings.Cut(hostname, "."); ok {
		names += " " + short
	}
	line := "127.0.1.1\t" + names + "\n"
	if old == "" {
		return "127.0.0.1\tlocalhost\n" + line + "::1\tlocalhost ip6-localhost ip6-loopback\n"
	}
	var b strings.Builder
	for l := range strings.Lines(old) {
		if fields := strings.Fields(l); len(fields) > 0 && fields[0] == "127.0.1.1" {
			l, line = line, ""
		}
		b.WriteString(l)
	}
	if line != "" && !strings.HasSuffix(old, "\n") {
		b.WriteByte('\n')
	}
	return b.String() + line
}

// fstab leaves out what is on the SD card: its own devices, and whatever else
// than NFS is mounted where the system itself is.
func fstab(old string) string {
	var b strings.Builder
	for line := range strings.Lines(old) {
		fields := strings.Fields(line)
		if len(fields) >= 3 && !strings.HasPrefix(fields[0], "#") && onCard(fields[0], fields[1], fields[2]) {
			continue
		}
		b.WriteString(line)
	}
	return b.String()
}

func onCard(device, dir, kind string) bool {
	if strings.HasPrefix(device, "/dev/mmcblk") {
		return true
	}
	system := dir == "/" || dir == "/boot" || dir == "/boot/firmware"
	return system && !strings.HasPrefix(kind, "nfs") && device != "/dev/nfs"
}

// cmdline leaves out the kernel parameters that an image for SD cards has, and
// that keep a Pi from booting over NFS.
func cmdline(old string) string {
	var kept []string
	for _, param := range parameters(old) {
		if !breaksNFS(param) {
			kept = append(kept, param)
		}
	}
	return strings.Join(kept, " ") + "\n"
}

func breaksNFS(param string) bool {
	name, value, _ := strings.Cut(param, "=")
	switch strings.ReplaceAll(name, "-", "_") {
	case "init", "resize", "fsck.repair":
		return true // programs that repartition the card, or check it
	case "root":
		return value != "/dev/nfs"
	case "rootfstype":
		return !strings.HasPrefix(value, "nfs")
	}
	return strings.HasPrefix(name, "systemd.run") || param == "systemd.unit=kernel-command-line.target"
}

// parameters splits a command line as the kernel does: at blanks that are not
// between quotation marks.
func parameters(line string) []string {
	quoted := false
	return strings.FieldsFunc(line, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return !quoted && strings.ContainsRune(" \t\n\v\f\r", r)
	})
}
