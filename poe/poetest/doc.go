// Package poetest is a simulated switch that feeds simulated devices, and the
// suite of checks that every backend of package poe passes.
//
//	sw := poetest.New(poetest.Config{Ports: 8})
//	conn, err := net.ListenPacket("udp", "[::1]:0")
//	if err != nil {
//		return err
//	}
//	go sw.Serve(ctx, conn, "secret") // an SNMP v2c agent
//	err = poetest.Conform(ctx, poetest.Subject{PSE: sw, Port: poe.PortID{Group: 1, Port: 1}, Other: poe.PortID{Group: 1, Port: 2}})
//
// The switch is a poe.PSE itself, and behind [Switch.Serve] an SNMP agent with
// POWER-ETHERNET-MIB (RFC 3621), the address table of Q-BRIDGE-MIB (RFC 4363)
// and the columns of one of several makers. Its devices take their time to be
// detected and to boot, and hang when too many of them start at once. It can be
// slow, lose requests and answers, refuse, restart and keep a port in fault.
//
// Time is that of package time, so that it runs within testing/synctest too.
// Nothing runs in the background but Serve. The agent speaks only SNMP v2c,
// whose community is no secret: do not serve it beyond the own machine.
//
// The API may still change before version 1.
package poetest
