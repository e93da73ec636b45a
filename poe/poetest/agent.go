package poetest

import (
	"context"
	"errors"
	"net"
	"slices"
	"time"
)

const (
	maxDatagram = 65507
	// maxResponse is what an agent that avoids fragments answers at most.
	maxResponse = 1472
	// maxRepetitions bounds what a GETBULK asks for.
	maxRepetitions = 1000
)

// Serve answers SNMP v2c requests with the community on conn, one at a time as
// small switches do, until ctx ends; then it closes conn and returns nil.
// Requests that are not understood and those with another community are not
// answered. An answer is 1472 bytes long at most.
func (s *Switch) Serve(ctx context.Context, conn net.PacketConn, community string) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	buffer := make([]byte, maxDatagram)
	for {
		n, client, err := conn.ReadFrom(buffer)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			continue // an ICMP error of a client that has gone
		}
		r, err := parseRequest(buffer[:n])
		if err != nil || r.community != community {
			continue
		}
		if reply := s.answer(ctx, r); reply != nil {
			_, _ = conn.WriteTo(reply, client)
		}
	}
}

// answer returns the answer to a request, nil when there is none.
func (s *Switch) answer(ctx context.Context, r request) []byte {
	s.mu.Lock()
	s.requests++
	gone := time.Now().Before(s.gone)
	s.mu.Unlock()
	if gone {
		return nil
	}
	if r.kind != pduSet {
		s.mu.Lock()
		defer s.mu.Unlock()
		return read(r, s.mib())
	}
	fate := s.suffer(ctx)
	switch fate {
	case setLost:
		return nil
	case refused:
		return r.response(errNoAccess, 1, echo(r))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	status, index := store(r, s.mib())
	switch fate {
	case replyLost:
		return nil
	case denied:
		return r.response(errNoAccess, 1, echo(r))
	}
	return r.response(status, index, echo(r))
}

func echo(r request) [][]byte {
	var all [][]byte
	for _, b := range r.bindings {
		all = append(all, b.encode())
	}
	return all
}

// store makes all changes of a SET or none (RFC 3416 section 4.2.5).
func store(r request, mib []object) (status, index int) {
	for _, try := range []bool{true, false} {
		for i, b := range r.bindings {
			at, found := find(mib, b.name)
			if !found || mib[at].set == nil {
				return errNotWritable, i + 1
			}
			n, _ := int32Of(b.value)
			if status := mib[at].set(b.tag, n, try); status != 0 {
				return status, i + 1
			}
		}
	}
	return 0, 0
}

// read answers a GET, GETNEXT or GETBULK.
func read(r request, mib []object) []byte {
	var all [][]byte
	size := 64 // of what is around the bindings
	add := func(b binding) bool {
		encoded := b.encode()
		if size += len(encoded); size > maxResponse {
			return false
		}
		all = append(all, encoded)
		return true
	}
	if r.kind == pduGetBulk {
		bulk(r, mib, add)
		return r.response(0, 0, all)
	}
	for _, b := range r.bindings {
		answer := get(mib, b.name)
		if r.kind == pduGetNext {
			answer = next(mib, b.name)
		}
		if !add(answer) {
			return r.response(errTooBig, 0, nil)
		}
	}
	return r.response(0, 0, all)
}

// bulk adds what fits of a GETBULK's answer (RFC 3416 section 4.2.3).
func bulk(r request, mib []object, add func(binding) bool) {
	nonRepeaters := min(max(int(r.numbers[0]), 0), len(r.bindings))
	for _, b := range r.bindings[:nonRepeaters] {
		if !add(next(mib, b.name)) {
			return
		}
	}
	var names []oid
	for _, b := range r.bindings[nonRepeaters:] {
		names = append(names, b.name)
	}
	for range min(max(r.numbers[1], 0), maxRepetitions) {
		ended := true
		for i, name := range names {
			b := next(mib, name)
			if !add(b) {
				return
			}
			names[i], ended = b.name, ended && b.tag == tagEndOfMIBView
		}
		if ended {
			return
		}
	}
}

func find(mib []object, name oid) (int, bool) {
	return slices.BinarySearchFunc(mib, name, func(o object, name oid) int { return slices.Compare(o.name, name) })
}

func get(mib []object, name oid) binding {
	if at, found := find(mib, name); found {
		return mib[at].binding
	}
	return binding{name: name, tag: tagNoSuchInstance}
}

func next(mib []object, name oid) binding {
	at, found := find(mib, name)
	if found {
		at++
	}
	if at == len(mib) {
		return binding{name: name, tag: tagEndOfMIBView}
	}
	return mib[at].binding
}
