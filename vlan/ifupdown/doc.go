// Package ifupdown reads, changes and writes interfaces(5) files, the network
// configuration of Debian's ifupdown.
//
//	file, err := ifupdown.Parse(string(data))
//	...
//	for i := range file.Stanzas {
//		stanza := &file.Stanzas[i]
//		if stanza.Keyword == "iface" && stanza.Args[0] == "eth0.131" {
//			stanza.Set("mtu", "1400")
//		}
//	}
//	text, err := file.Format()
//
// What is not changed is written to the byte as it was read: comments, blanks,
// continuation lines, and all that the package does not know. It is about the
// form of a file: it does not follow source lines, apply mappings or what an
// iface inherits, nor know the families, methods and options that there are.
//
// It needs no privileges and does no I/O. The API may change until v1.0.0.
package ifupdown
