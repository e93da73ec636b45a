// Package topk finds the keys that occur most in a long stream, in memory that does not grow.
//
//	s := topk.New(8192)
//	for line := range lines {
//		s.Add(line.Key, topk.Client(line.Addr))
//	}
//	for _, item := range s.Top(1000) {
//		fmt.Printf("%s: %.0f to %.0f times, by about %d clients\n", item.Key, item.Count-item.Error, item.Count, item.Clients)
//	}
//
// The counting is Space-Saving (Metwally, Agrawal and El Abbadi, "Efficient Computation of Frequent and Top-k Elements
// in Data Streams", ICDT 2005): a fixed number of counters, and a key that has none takes over the counter with the
// smallest count. Its error explains itself:
//
//   - a key occurred at most Count times, and at least Count-Error times;
//   - a key that is not listed occurred at most [Summary.Unlisted] times;
//   - with n keys in all and m counters, no Error and no unlisted key is above n/m, so every key that occurred more
//     often than that is listed.
//
// Keys are told apart by a 64-bit hash with a seed of its own: that any of a billion keys is taken for one of 8,192 that
// are listed has a chance of less than one in a million.
//
// All of this stays true through [Summary.Halve], with "occurred" weighed by age, and through [Summary.Merge].
// To have the first K keys of a web site's log right, give a Summary at least 8K counters.
//
// Beside each count stands a HyperLogLog (Flajolet, Fusy, Gandouet and Meunier, 2007) of 64 registers that estimates how
// many different clients asked, to 13 % or so, and nearly exactly below ten: what one client asks for a million times is
// popular with one. It does not count beyond a million.
//
// A Summary is not safe for use from several goroutines. Its interface may change before version 1.
package topk
