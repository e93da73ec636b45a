package zone

import (
	"fmt"
	"io"
	"strconv"

	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
)

// writeBlock is how much text is written at once.
const writeBlock = 64 << 10

// WriteTo writes the zone as a master file: a record a line, names absolute, in
// canonical order but for the SOA record, which comes first, and NSEC3 records,
// which come last. Signatures follow the set that they cover.
func (z *Zone) WriteTo(w io.Writer) (int64, error) {
	buf := make([]byte, 0, writeBlock+writeBlock/4)
	var written int64
	flush := func(limit int) error {
		if len(buf) <= limit {
			return nil
		}
		n, err := w.Write(buf)
		written += int64(n)
		buf = buf[:0]
		if err != nil {
			return fmt.Errorf("zone: write: %w", err)
		}
		return nil
	}
	for owner, set := range z.sets() {
		buf = set.AppendText(buf, owner)
		if err := flush(writeBlock); err != nil {
			return written, err
		}
	}
	return written, flush(0)
}

// AppendText appends the records of the set and their signatures, a line each.
func (s *RRset) AppendText(dst []byte, owner wire.Name) []byte {
	start := len(dst)
	dst = wire.AppendName(dst, string(owner))
	dst = append(dst, '\t')
	dst = strconv.AppendUint(dst, uint64(s.TTL), 10)
	dst = append(dst, "\tIN\t"...)
	head := dst[start:]
	dst = dst[:start]
	for _, part := range []struct {
		t    wire.Type
		data wire.RDATA
	}{{s.Type, s.Data}, {wire.Type(dns.TypeRRSIG), s.Signatures}} {
		for rdata := range part.data.All() {
			dst = append(dst, head...)
			dst = append(dst, part.t.String()...)
			dst = append(dst, '\t')
			dst = wire.AppendText(dst, part.t, rdata)
			dst = append(dst, '\n')
		}
	}
	return dst
}
