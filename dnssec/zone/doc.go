// Package zone holds a DNS zone in canonical wire form: names in lower case and
// in canonical order, the records of each set in canonical RDATA form and order
// (RFC 4034 section 6), with their signatures beside them.
//
//	origin, err := wire.ParseName("example.org")
//	if err != nil {
//		return err
//	}
//	z, warnings, err := zone.ReadFile("example.org.zone", origin)
//	for _, w := range warnings {
//		log.Print(w)
//	}
//	if err != nil {
//		return err // every error of the file, with its line
//	}
//	_, err = z.WriteTo(os.Stdout)
//
// A zone comes from a master file ([ReadFile], [Parse]), or from records or a
// zone transfer ([FromRecords], [Transferred]). Large files are parsed on all
// cores. A [Zone] and all that is reached from it is read-only once made, and
// safe for concurrent use. Package dnssec signs and verifies zones, and package
// dnssec/server answers from them.
//
// Names and RDATA are as package dnssec/wire has them, so letters become lower case
// where canonical form says so, and records of unknown types pass through.
//
// Limits: files included 10 deep, $GENERATE lines of 65,536 records, and 100
// problems listed for one input, the rest counted. The class is IN.
//
// It needs no privileges and no servers. RFCs: 1035, 2181, 2308, 4034, 5936, 9499.
//
// Until version 1 of the module, names here may change with notice in the
// changelog.
package zone
