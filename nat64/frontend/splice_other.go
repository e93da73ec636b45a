//go:build !linux

package frontend

import (
	"io"
	"net"
)

// pipes are needed on Linux only.
type pipes struct{}

func (*pipes) closeIdle() {}

// pump moves all octets of src to dst, and tells moved of each lot. It returns
// nil at the end of src.
func (f *Frontend) pump(dst, src *net.TCPConn, moved func(n int)) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				return err
			}
			moved(n)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
