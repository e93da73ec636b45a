// Package node speaks munin's node protocol from both ends, and writes
// munin-node.conf.
//
//	c, err := node.Dial(ctx, "[2001:db8::6712]:4949", node.Limits{})
//	if err != nil {
//		log.Fatal(err)
//	}
//	defer c.Close()
//	c.Cap(ctx, "multigraph")
//	plugins, err := c.List(ctx, "fenrir.example.org")
//	graphs, err := c.Fetch(ctx, plugins[0])
//
// [Client] asks a node, [Prober] asks thousands of them and gives a verdict on
// each, [Server] is a node with a program's own figures, and [Conf] lets the
// master in at Debian's munin-node.
//
// It needs no privileges and no munin. The protocol is that of munin 2.0; it
// has no standard. STARTTLS is munin's own, with the roles that it has there: a
// node without a certificate answers TLS MAYBE, and then the caller is the TLS
// server (RFC 8446 names the roles).
//
// It will not run plugins, spool, or keep what it fetches.
//
// Until version 1 the API may change between minor versions.
package node
