// Package wire is the canonical wire form of names and RDATA (RFC 4034 section 6),
// and their text in master files.
//
//	origin, err := wire.ParseName("Example.ORG") // example.org.
//	...
//	words := wire.Scanner{Text: []byte("10 mail")}
//	words.Next()
//	reader := wire.Reader{Words: words.Words, Origin: origin}
//	rdata, err := reader.Append(nil, wire.Type(dns.TypeMX))
//	...
//	text := wire.AppendText(nil, wire.Type(dns.TypeMX), rdata) // 10 mail.example.org.
//
// Letters of names become lower case, those of names in RDATA only in the types
// that canonical form lists (RFC 4034 section 6.2, RFC 6840 section 5.1). All other
// octets stay as they are. Records of unknown types have the text of RFC 3597.
//
// The common types are read and written here; package dns reads and writes the
// text of the rare ones.
//
// Limits: a name of 255 octets, a label of 63, RDATA of 65,535. It needs no
// privileges and no servers. RFCs: 1035, 3597, 4034, 6840.
//
// Until version 1 of the module, names here may change with notice in the
// changelog.
package wire
