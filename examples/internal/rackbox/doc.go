// Package rackbox is what stands in for the hardware of a rack when it is
// booted on one machine: a switch with VLANs and PoE, and the computers on it,
// which are user-mode Linux kernels.
//
// Everything else that runs there is what runs in a real rack: the command
// lines, files and roots that pirack writes, package vlan and the fileserver's
// own kernel, nfsd and nftables, and package poe over SNMP.
package rackbox
