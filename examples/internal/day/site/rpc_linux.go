package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Programs, procedures and ports of RFC 1813, and the port that pirack gives
// mountd.
const (
	nfsProgram, mountProgram = 100003, 100005
	procMount                = 1
	procGetattr, procRead    = 1, 6
	nfsPort, mountPort       = 2049, 32767
)

// patience is how long the fileserver may take to answer.
const patience = 2 * time.Second

// rpc is a connection of root's to an RPC server (RFC 5531).
type rpc struct{ net.Conn }

// dialRPC connects from a port that only root has, and from the given address
// if there is one.
func dialRPC(ctx context.Context, server, source netip.Addr, port int) (rpc, error) {
	d := net.Dialer{Timeout: patience}
	for from := 600; from < 1000; from++ {
		d.LocalAddr = &net.TCPAddr{IP: source.AsSlice(), Port: from}
		conn, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(server, uint16(port)).String())
		if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL) {
			continue
		}
		if err != nil {
			return rpc{}, err
		}
		conn.(*net.TCPConn).SetLinger(0) // frees the port at once
		return rpc{conn}, nil
	}
	return rpc{}, errors.New("no port of root's is free")
}

// reaches reports whether a server answers at all.
func reaches(ctx context.Context, server netip.Addr, port int) bool {
	d := net.Dialer{Timeout: patience}
	conn, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(server, uint16(port)).String())
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// call calls a procedure as root, and returns its results.
func (c rpc) call(program, procedure uint32, args []byte) ([]byte, error) {
	c.SetDeadline(time.Now().Add(10 * time.Second))
	var m []byte
	for _, word := range []uint32{1, 0, 2, program, 3, procedure, 1, 20, 0, 0, 0, 0, 0, 0, 0} { // AUTH_SYS, root; AUTH_NONE
		m = binary.BigEndian.AppendUint32(m, word)
	}
	m = append(m, args...)
	if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, 1<<31|uint32(len(m))), m...)); err != nil {
		return nil, err
	}
	var mark [4]byte
	if _, err := io.ReadFull(c, mark[:]); err != nil {
		return nil, err
	}
	reply := make([]byte, binary.BigEndian.Uint32(mark[:])&(1<<31-1))
	if _, err := io.ReadFull(c, reply); err != nil {
		return nil, err
	}
	const header = 24 // of an accepted reply with AUTH_NONE
	if len(reply) < header+4 {
		return nil, fmt.Errorf("rejected: %x", reply)
	}
	return reply[header:], nil
}

// mountHandle asks mountd for the handle of an export.
func mountHandle(ctx context.Context, server, source netip.Addr, export string) ([]byte, error) {
	c, err := dialRPC(ctx, server, source, mountPort)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	reply, err := c.call(mountProgram, procMount, opaque([]byte(export)))
	if err != nil {
		return nil, err
	}
	if status := binary.BigEndian.Uint32(reply); status != 0 || len(reply) < 8 {
		return nil, fmt.Errorf("mount of %s: status %d", export, status)
	}
	size := int(binary.BigEndian.Uint32(reply[4:]))
	if size > len(reply)-8 {
		return nil, fmt.Errorf("mount of %s: %x", export, reply)
	}
	return reply[8:][:size], nil
}

// read reads the first bytes of what a handle names; ok is whether it may.
func (c rpc) read(handle []byte) (data []byte, ok bool, err error) {
	args := append(opaque(handle), make([]byte, 12)...) // offset, count
	args[len(args)-1] = 200
	reply, err := c.call(nfsProgram, procRead, args)
	if err != nil {
		return nil, false, err
	}
	return reply, binary.BigEndian.Uint32(reply) == 0, nil
}

// opaque encodes variable-length data (RFC 4506, section 4.10).
func opaque(data []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	return append(append(out, data...), make([]byte, -len(data)&3)...)
}

// The kinds of file system ids in a handle of Linux' NFS server: device and
// inode, the number of fsid=, and others that hold what cannot be guessed.
const (
	fsidDevice = 0
	fsidNumber = 1
)

// The most that is guessed of inodes, generations and devices.
const (
	maxInode  = 400
	maxDevice = 64
)

// guesses returns handles that the fileserver may take for another Pi's files:
// version 1, no authentication, the kind of file system id, the kind of file id
// (0: the root; 1: inode and generation), and both ids.
func guesses(own []byte) [][]byte {
	var all [][]byte
	for inode := range uint32(maxInode) { // on its own file system
		all = append(all, fileID(own, inode))
	}
	for device := range uint32(maxDevice) {
		for inode := range uint32(3) {
			id := []byte{1, 0, fsidDevice, 0}
			id = binary.BigEndian.AppendUint16(id, 0)
			id = binary.BigEndian.AppendUint16(id, uint16(device))
			id = binary.LittleEndian.AppendUint32(id, inode)
			all = append(all, id, fileID(id, inode))
		}
	}
	for number := range uint32(16) {
		id := binary.LittleEndian.AppendUint32([]byte{1, 0, fsidNumber, 0}, number)
		all = append(all, id, fileID(id, 2))
	}
	for bit := 4; bit < len(own); bit++ { // its neighbours, if ids were given in turn
		id := append([]byte(nil), own...)
		id[bit]++
		all = append(all, id, fileID(id, 2))
	}
	return all
}

// fileID is the handle of an inode on the file system of another handle.
func fileID(handle []byte, inode uint32) []byte {
	h := append([]byte(nil), handle...)
	h[3] = 1
	h = binary.LittleEndian.AppendUint32(h, inode)
	return binary.LittleEndian.AppendUint32(h, 0)
}
