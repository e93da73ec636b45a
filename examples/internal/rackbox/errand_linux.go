package rackbox

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// A command reaches the fileserver in three hops: from a terminal to pirack
// boot over a Unix socket, and from there to the fileserver's agent, over a TCP
// connection that the agent has opened for it, on the management network that
// nothing else is on.

// hello is the first line of a connection from the agent.
type hello struct {
	Ready   bool   // the Pis are on; otherwise it waits for a request
	Problem string // why one is not
}

// request is a command of pirack's for the fileserver.
type request struct {
	Args []string
	Dir  string // the working directory
}

// The streams of an answer. A frame is the stream, the length (4 bytes), and
// the data; the last one of an answer is that of the exit status.
const (
	streamOut byte = iota + 1
	streamErr
	streamExit
)

const (
	maxRequest = 1 << 16
	maxChunk   = 1 << 16
	// maxCommands is how many commands the fileserver runs at a time.
	maxCommands = 16
)

// frames writes the streams of an answer.
type frames struct {
	mu sync.Mutex
	w  io.Writer
}

func (f *frames) send(stream byte, data []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.w.Write(append(binary.BigEndian.AppendUint32([]byte{stream}, uint32(len(data))), data...))
	return err
}

// sender is one stream of an answer.
type sender struct {
	*frames
	stream byte
}

func (s sender) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), maxChunk)
		if err := s.send(s.stream, rest[:n]); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(p), nil
}

// receive copies an answer to where its streams belong, and returns the exit
// status.
func receive(r io.Reader, out, diagnostics io.Writer) (int, error) {
	var head [5]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return 0, fmt.Errorf("pirack boot has ended: %w", err)
		}
		size := binary.BigEndian.Uint32(head[1:])
		if size > maxChunk {
			return 0, fmt.Errorf("pirack boot sent a frame of %d bytes", size)
		}
		data := make([]byte, size)
		if _, err := io.ReadFull(r, data); err != nil {
			return 0, err
		}
		switch head[0] {
		case streamOut:
			out.Write(data)
		case streamErr:
			diagnostics.Write(data)
		case streamExit:
			if len(data) != 4 {
				return 0, fmt.Errorf("pirack boot sent a status of %d bytes", len(data))
			}
			return int(binary.BigEndian.Uint32(data)), nil
		default:
			return 0, fmt.Errorf("pirack boot sent stream %d", head[0])
		}
	}
}

// agent runs, on the fileserver, what it is sent.
func (f *fileserver) agent(ctx context.Context) error {
	slots := make(chan struct{}, maxCommands)
	for {
		slots <- struct{}{}
		conn, err := net.Dial("tcp", boxAddress)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(conn).Encode(hello{}); err != nil {
			return err
		}
		reader := bufio.NewReader(conn)
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return err // pirack boot has ended
		}
		go func() {
			defer func() { conn.Close(); <-slots }()
			f.run(ctx, conn, reader, line)
		}()
	}
}

// run runs a command until it ends or its caller goes.
func (f *fileserver) run(ctx context.Context, conn io.Writer, caller io.Reader, line []byte) {
	answer := &frames{w: conn}
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		fmt.Fprintln(sender{answer, streamErr}, err)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // there is nothing more to read but the end
		io.Copy(io.Discard, caller)
		cancel()
	}()
	cmd := exec.CommandContext(ctx, filepath.Join(hostDir, f.Binary), append(r.Args, f.config...)...)
	cmd.Args[0] = "pirack"
	if dir := filepath.Join(hostDir, r.Dir); isDir(dir) {
		cmd.Dir = dir
	}
	cmd.Stdout, cmd.Stderr = sender{answer, streamOut}, sender{answer, streamErr}
	err := cmd.Run()
	status := cmd.ProcessState.ExitCode()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(cmd.Stderr, "pirack:", err)
		status = 1
	}
	answer.send(streamExit, binary.BigEndian.AppendUint32(nil, uint32(status)))
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}
