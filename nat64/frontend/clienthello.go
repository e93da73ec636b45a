package frontend

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What a client says that is no ClientHello that can be routed.
var (
	errNotTLS      = errors.New("not a TLS ClientHello")
	errHelloSize   = errors.New("ClientHello too long")
	errServerNames = errors.New("several or malformed server names")
)

const (
	recordHeader    = 5
	handshakeHeader = 4
	maxRecord       = 16384 // RFC 8446, section 5.1
)

// readClientHello reads the records that hold a ClientHello from r, no more
// than limit octets of them, and returns all that was read, in buf if it is
// large enough, and the server name, "" when there is none.
func readClientHello(r io.Reader, buf []byte, limit int) (raw []byte, name string, err error) {
	raw = buf[:0]
	var handshake []byte
	for {
		start := len(raw)
		if raw, err = readMore(r, raw, recordHeader, limit); err != nil {
			return raw, "", err
		}
		header := raw[start:]
		length := int(binary.BigEndian.Uint16(header[3:]))
		// Handshake, SSL 3.0 or TLS; an empty fragment is not allowed (section 5.1).
		if header[0] != 22 || header[1] != 3 || length == 0 || length > maxRecord {
			return raw, "", errNotTLS
		}
		if raw, err = readMore(r, raw, length, limit); err != nil {
			return raw, "", err
		}
		fragment := raw[start+recordHeader:]
		if start == 0 {
			handshake = fragment // mostly the only one: no copy
		} else {
			handshake = append(handshake[:len(handshake):len(handshake)], fragment...)
		}
		if body, whole, err := clientHelloBody(handshake, limit); err != nil || whole {
			if err != nil {
				return raw, "", err
			}
			name, err = serverName(body)
			return raw, name, err
		}
	}
}

// readMore reads exactly n octets behind raw.
func readMore(r io.Reader, raw []byte, n, limit int) ([]byte, error) {
	start := len(raw)
	if start+n > limit {
		return raw, errHelloSize
	}
	if cap(raw) < start+n {
		grown := make([]byte, start, min(limit, max(start+n, 2*cap(raw))))
		copy(grown, raw)
		raw = grown
	}
	raw = raw[:start+n]
	_, err := io.ReadFull(r, raw[start:])
	return raw, err
}

// clientHelloBody returns the body of the ClientHello that handshake begins
// with, and whether all of it is there.
func clientHelloBody(handshake []byte, limit int) (body []byte, whole bool, err error) {
	if handshake[0] != 1 {
		return nil, false, errNotTLS
	}
	if len(handshake) < handshakeHeader {
		return nil, false, nil
	}
	length := int(handshake[1])<<16 | int(handshake[2])<<8 | int(handshake[3])
	switch have := len(handshake) - handshakeHeader; {
	case length > limit:
		return nil, false, errHelloSize
	case have < length:
		return nil, false, nil
	case have > length: // nothing may follow before the server has spoken
		return nil, false, errNotTLS
	}
	return handshake[handshakeHeader:], true, nil
}

// A scanner reads vectors of TLS (RFC 8446, section 3.4). After a failure it stays failed.
type scanner struct {
	rest   []byte
	failed bool
}

func (s *scanner) take(n int) []byte {
	if s.failed || n > len(s.rest) {
		s.failed = true
		return nil
	}
	taken := s.rest[:n]
	s.rest = s.rest[n:]
	return taken
}

func (s *scanner) number(octets int) int {
	n := 0
	for _, b := range s.take(octets) {
		n = n<<8 | int(b)
	}
	return n
}

// vector reads a vector whose length has the given number of octets.
func (s *scanner) vector(octets int) scanner {
	content := s.take(s.number(octets))
	return scanner{content, s.failed}
}

// serverName returns the host_name of a ClientHello (RFC 6066, section 3).
// What backends could read otherwise than we do is an error: a name must be
// there once, and be a host's.
func serverName(body []byte) (string, error) {
	s := scanner{rest: body}
	s.take(2 + 32) // legacy_version, random
	s.vector(1)    // legacy_session_id
	s.vector(2)    // cipher_suites
	s.vector(1)    // legacy_compression_methods
	if s.failed {
		return "", errNotTLS
	}
	if len(s.rest) == 0 {
		return "", nil // no extensions: TLS 1.2 and before
	}
	extensions := s.vector(2)
	name, seen := "", false
	for !extensions.failed && len(extensions.rest) > 0 {
		kind := extensions.number(2)
		content := extensions.vector(2)
		if kind != 0 || extensions.failed {
			continue
		}
		if seen {
			return "", errServerNames
		}
		seen = true
		var err error
		if name, err = hostName(content); err != nil {
			return "", err
		}
	}
	if extensions.failed || s.failed || len(s.rest) > 0 {
		return "", errNotTLS
	}
	return name, nil
}

// hostName reads a server_name extension.
func hostName(content scanner) (string, error) {
	list := content.vector(2)
	kind := list.number(1)
	host := list.vector(2)
	if list.failed || content.failed || kind != 0 || len(list.rest) > 0 || len(content.rest) > 0 {
		return "", errServerNames
	}
	name := canonical(string(host.rest))
	if !isHostName(name) {
		return "", fmt.Errorf("%w: %.64q", errServerNames, name)
	}
	return name, nil
}
