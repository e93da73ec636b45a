package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Order is what a hostile Pi is told of the rack: what an insider knows.
type order struct {
	Own    target   // this Pi's own
	Others []target // the other Pis'
	Device string   // of the private network
	VLANs  []uint16 // of the other Pis
	// Management are addresses beyond the fileserver, as host:port.
	Management []string
	Secret     string // what is in each other Pi's root, and in no other place
}

// target is a Pi's private network and its root.
type target struct {
	Server, Client netip.Addr
	Export         string
}

// Result is what one kind of attack came to.
type result struct {
	Attack   string
	Tried    int
	Breaches []string // what it could do that it must not
}

// attack tries everything once.
func attack(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Minute)
	defer cancel()
	var results []result
	for _, a := range []struct {
		name string
		do   func(context.Context, order) (int, []string, error)
	}{
		{"file handles", forgeHandles}, {"source addresses", forgeSources}, {"VLAN tags", forgeTags}, {"management network", reachManagement},
	} {
		tried, breaches, err := a.do(ctx, o)
		if err != nil {
			http.Error(w, fmt.Sprintf("%s: %v", a.name, err), http.StatusInternalServerError)
			return
		}
		results = append(results, result{a.name, tried, breaches})
	}
	json.NewEncoder(w).Encode(results)
}

// forgeHandles makes up file handles of every inode of every file system that a
// handle of its own leads it to guess, and asks for them with what the handle of
// another Pi would be if it could be mounted.
func forgeHandles(ctx context.Context, o order) (int, []string, error) {
	own, err := mountHandle(ctx, o.Own.Server, netip.Addr{}, o.Own.Export)
	if err != nil {
		return 0, nil, fmt.Errorf("it cannot mount its own root: %w", err)
	}
	tried, breaches := 0, []string(nil)
	for _, other := range o.Others {
		tried++
		if _, err := mountHandle(ctx, o.Own.Server, netip.Addr{}, other.Export); err == nil {
			breaches = append(breaches, "mounted "+other.Export)
		}
	}
	client, err := dialRPC(ctx, o.Own.Server, netip.Addr{}, nfsPort)
	if err != nil {
		return tried, breaches, err
	}
	defer client.Close()
	// What it says is understood: its own handle is good for something.
	if reply, err := client.call(nfsProgram, procGetattr, opaque(own)); err != nil || binary.BigEndian.Uint32(reply) != 0 {
		return tried, breaches, fmt.Errorf("its own handle is no good: %x %w", reply, err)
	}
	for _, handle := range guesses(own) {
		tried++
		data, ok, err := client.read(handle)
		if err != nil {
			return tried, breaches, err
		}
		if ok && strings.Contains(string(data), o.Secret) {
			breaches = append(breaches, fmt.Sprintf("read another Pi's secret by handle %x", handle))
		}
	}
	return tried, breaches, nil
}

// forgeSources takes other Pis' addresses and asks the fileserver as them, at
// its own fileserver address and at theirs.
func forgeSources(ctx context.Context, o order) (int, []string, error) {
	tried, breaches := 0, []string(nil)
	for _, other := range o.Others {
		undo, err := takeAddress(other.Client, o.Device)
		if err != nil {
			return tried, breaches, err
		}
		for _, server := range []netip.Addr{o.Own.Server, other.Server} {
			tried++
			if handle, err := mountHandle(ctx, server, other.Client, other.Export); err == nil {
				breaches = append(breaches, fmt.Sprintf("mounted %s as %v: %x", other.Export, other.Client, handle))
			}
		}
		undo()
		tried++
		if reaches(ctx, other.Server, nfsPort) {
			breaches = append(breaches, fmt.Sprintf("reached %v", other.Server))
		}
	}
	return tried, breaches, nil
}

// reachManagement tries what is on the fileserver's other network.
func reachManagement(ctx context.Context, o order) (int, []string, error) {
	var breaches []string
	for _, address := range o.Management {
		to := netip.MustParseAddrPort(address)
		if reaches(ctx, to.Addr(), int(to.Port())) {
			breaches = append(breaches, "reached "+address)
		}
	}
	return len(o.Management), breaches, nil
}
