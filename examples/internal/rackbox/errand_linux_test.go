package rackbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFrames(t *testing.T) {
	var wire, out, diagnostics bytes.Buffer
	f := &frames{w: &wire}
	long := strings.Repeat("x", 3*maxChunk+1)
	io.WriteString(sender{f, streamOut}, long)
	io.WriteString(sender{f, streamErr}, "oh")
	require.NoError(t, f.send(streamExit, binary.BigEndian.AppendUint32(nil, 3)))
	status, err := receive(&wire, &out, &diagnostics)
	require.NoError(t, err)
	require.Equal(t, 3, status)
	require.Equal(t, long, out.String())
	require.Equal(t, "oh", diagnostics.String())

	for _, broken := range [][]byte{nil, {streamOut, 0, 0}, {streamOut, 0, 0, 0, 9, 'x'}, {streamOut, 0xff, 0, 0, 0}, {streamExit, 0, 0, 0, 1, 0}} {
		_, err := receive(bytes.NewReader(broken), io.Discard, io.Discard)
		require.Error(t, err, broken)
	}
}

// A command goes from a terminal to the fileserver, and its answer back.
func TestForward(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	_, err := Forward(t.Context(), state, nil, io.Discard, io.Discard)
	require.ErrorIs(t, err, ErrNone)

	listener, err := listen(state)
	require.NoError(t, err)
	_, err = listen(state)
	require.ErrorContains(t, err, "booted with the state directory")

	// The agent, whose network is this machine's loopback.
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer tcp.Close()
	b := &box{idle: make(chan worker)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := net.Dial("tcp", tcp.Addr().String())
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				reader := bufio.NewReader(conn)
				line, err := reader.ReadBytes('\n')
				if err != nil {
					return
				}
				f := &fileserver{errand: errand{Binary: "../bin/sh"}}
				f.run(ctx, conn, reader, line)
			}()
			theirs, err := tcp.Accept()
			if err != nil {
				return
			}
			select {
			case b.idle <- worker{theirs, bufio.NewReader(theirs)}:
			case <-ctx.Done():
				theirs.Close()
				return
			}
		}
	}()
	go func() {
		for {
			conn, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			go b.carry(ctx, conn)
		}
	}()
	var out, diagnostics bytes.Buffer
	status, err := Forward(ctx, state, []string{"-c", "echo here; echo there >&2; exit 3"}, &out, &diagnostics)
	require.NoError(t, err)
	require.Equal(t, 3, status)
	require.Equal(t, "here\n", out.String())
	require.Equal(t, "there\n", diagnostics.String())

	// Who asked and is gone no longer waits.
	short, end := context.WithCancel(ctx)
	time.AfterFunc(50*time.Millisecond, end)
	_, err = Forward(short, state, []string{"-c", "exec sleep 600"}, &out, &diagnostics)
	require.ErrorIs(t, err, context.Canceled)
	cancel()
	listener.Close()
	tcp.Close()
	<-done
	_, err = Forward(t.Context(), state, nil, io.Discard, io.Discard)
	require.ErrorIs(t, err, ErrNone, "the name is gone with the socket")
}
