// Package command drives PSE ports through a program of the operator's: a
// backend of package poe for switches that speak neither SNMP nor ethtool, such
// as those behind a controller's API.
//
//	pse := &command.PSE{Argv: []string{"/usr/local/bin/unifi-poe", "--site", "rack"}}
//	ports, err := pse.Status(ctx)
//
// The program is started once for each question, with these arguments after
// those of [PSE.Argv]:
//
//	status            all ports
//	status PORT...    these ports
//	on PORT           enable a port
//	off PORT          disable a port
//
// In each case it ends with status 0 and has printed one JSON document with the
// ports that were asked for, or the one that was switched, as they are now:
//
//	{"ports": [{"port": "1.1", "admin": "enabled", "detection": "deliveringPower", "class": 2, "watts": 3.2}]}
//
// Admin is enabled or disabled; detection is one of the words of RFC 3621
// (disabled, searching, deliveringPower, fault, test, otherFault) and may be
// left out where nobody knows, as class (0 to 8) and watts may. A port that
// does not exist is left out of the answer. No output is no success.
//
// The program gets no input and an environment of PATH, HOME and LANG alone. It
// is killed with all that it started when it takes too long or ctx ends, where
// the system has process groups. What it writes to stderr is part of the error,
// so that it must not write secrets there; nor must they be in its arguments,
// which everybody on the machine can read.
//
// The API may still change before version 1.
package command
