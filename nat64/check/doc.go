// Package check finds out what of an IPv6-only machine's way to the IPv4
// internet works: route, prefix, DNS64, path, and large packets on it.
//
//	checker := &check.Checker{URL: "http://ipv4.example.org/big.iso"}
//	report := checker.Check(ctx)
//	fmt.Print(report)
//	if !report.OK() {
//		os.Exit(1)
//	}
//
// It needs no privileges. It follows RFC 8781 and RFC 7050 to learn the prefix,
// and RFC 6052 to use it. A connection alone proves little: translated packets
// are 20 octets longer (RFC 7915), so that a path may carry a SYN and lose a
// page; the transfer finds that.
//
// What it will not do: measure, or repair.
//
// The API is not yet stable: it may change until the module is tagged v1.
package check
