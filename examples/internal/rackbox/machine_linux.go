package rackbox

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/berryrack/berryrack/internal/lab"
)

// machine is a computer: a user-mode Linux kernel, and what it is made of.
type machine struct {
	name   string
	kernel string // the path of the kernel
	dir    string // where it keeps its memory and its sockets
	args   []string
	// nics are the machine's ends of wires, in the order in which its
	// descriptors are numbered from 3 on.
	nics []*os.File
	// console is told what the machine prints.
	console io.Writer
}

// firstFD is the descriptor of a child's first extra file.
const firstFD = 3

// run runs the machine until it powers itself off or ctx ends, which takes its
// power away. It closes the machine's ends of its wires.
func (m machine) run(ctx context.Context) error {
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	cmd := lab.Machine(ctx, m.dir, m.kernel, append(m.args, "con=null", "con0=fd:0,fd:1", "con1=fd:0,fd:1")...)
	cmd.ExtraFiles = m.nics
	cmd.Stdout, cmd.Stderr = m.console, m.console
	defer func() {
		for _, nic := range m.nics {
			nic.Close()
		}
	}()
	err := lab.RunMachine(cmd)
	if ctx.Err() != nil {
		return nil // its power was taken away
	}
	return err
}

// localMAC is the address of a machine whose own nobody knows: locally
// administered (IEEE 802, 8.4), and of the port that it is plugged into.
func localMAC(port int) net.HardwareAddr {
	return net.HardwareAddr{0x02, 0x52, 0x50, 0x69, byte(port >> 8), byte(port)}
}

// lines hands whole lines of what a machine prints to a function, and keeps
// the last of them.
type lines struct {
	line func(string)

	mu   sync.Mutex
	part []byte
	last []string
}

// Limits of what is kept of a console.
const (
	maxLine  = 4096
	maxLines = 40
)

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = append(l.part, p...)
	for {
		line, rest, found := bytes.Cut(l.part, []byte("\n"))
		if !found && len(l.part) <= maxLine {
			return len(p), nil
		}
		l.part = append([]byte(nil), rest...)
		text := strings.TrimRight(string(line), "\r")
		l.last = append(l.last, text)
		if len(l.last) > maxLines {
			l.last = l.last[1:]
		}
		l.line(text)
	}
}

// tail returns the last lines.
func (l *lines) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.last, "\n")
}
