// Package lab is the laboratory of the integration tests: real programs as
// judges, network namespaces, and user-mode Linux kernels as machines.
//
// A test names its judges with [Need]. BERRYRACK_REQUIRE says which judges a
// run must have, as a list set off by commas, or "all": a test whose judges
// are not all named there is skipped, and one whose judges are named but
// missing fails. With the variable unset no test leaves the process it is in.
//
// [Isolated] runs a test in network, mount and process namespaces of its own,
// and [InGuest] inside a Debian user-mode Linux kernel that has VLANs,
// bridges, nftables and nfsd. In both, everything that the test starts or
// changes ends with it, even when it is killed.
//
// [NFSRootKernel] builds, once, a user-mode kernel that reads ip= and
// nfsroot= from its command line, as the kernel of a Raspberry Pi does, and
// [Boot] runs one.
package lab
