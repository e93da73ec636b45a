package rackbox

import (
	"context"
	"encoding/binary"
	"io"
	"sync"

	"github.com/berryrack/berryrack/vlan"
)

// Wire carries Ethernet frames: each Read and Write is one. A Write that would
// have to wait loses the frame instead.
type Wire interface{ io.ReadWriteCloser }

// tagged is a wire to a machine that knows no VLANs from a port that has one of
// them, tagged. One goroutine at a time reads, and any number write.
type tagged struct {
	Wire
	vlan vlan.ID
}

func (t tagged) Read(p []byte) (int, error) {
	if len(p) < maxFrame {
		return 0, io.ErrShortBuffer
	}
	n, err := t.Wire.Read(p[tagBytes:])
	if err != nil || n < macBytes {
		return 0, err
	}
	copy(p, p[tagBytes:][:macBytes])
	binary.BigEndian.PutUint16(p[macBytes:], etherTypeVLAN)
	binary.BigEndian.PutUint16(p[macBytes+2:], uint16(t.vlan))
	return tagBytes + n, nil
}

func (t tagged) Write(p []byte) (int, error) {
	if len(p) < macBytes+tagBytes {
		return len(p), nil
	}
	return t.Wire.Write(append(append(make([]byte, 0, len(p)), p[:macBytes]...), p[macBytes+tagBytes:]...))
}

// join carries frames between two wires until one of them or ctx ends, and
// closes both.
func join(ctx context.Context, a, b Wire) {
	stop := context.AfterFunc(ctx, func() { a.Close(); b.Close() })
	defer stop()
	var both sync.WaitGroup
	carry := func(to, from Wire) {
		frame := make([]byte, maxFrame)
		for {
			n, err := from.Read(frame)
			if err != nil {
				a.Close()
				b.Close()
				return
			}
			to.Write(frame[:n])
		}
	}
	both.Go(func() { carry(a, b) })
	both.Go(func() { carry(b, a) })
	both.Wait()
}
