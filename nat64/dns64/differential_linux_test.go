package dns64

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/nat64"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

const diffPrefix = "2001:db8:64::/96"

// The servers of the differential test, each on an address of its own.
const (
	authority  = "127.0.0.2" // named: the zones
	validating = "127.0.0.3" // unbound: our upstream
	bindDNS64  = "127.0.0.4" // named with dns64
	unboundDNS = "127.0.0.5" // unbound with dns64
	oursDNS64  = "127.0.0.6"
)

// zoneText returns the records of a zone of several hundred names: each kind
// of address set, aliases of each, and what goes wrong with them.
func zoneText(origin string, minimum int) (text string, names []string) {
	var b strings.Builder
	fmt.Fprintf(&b, "$ORIGIN %s\n$TTL 3600\n@ %d IN SOA ns hostmaster 1 7200 3600 1209600 %d\n@ IN NS ns\nns IN A %s\n", origin, minimum, minimum, authority)
	sets := []struct{ name, records string }{
		{"four", "A 192.0.2.1"}, {"fours", "A 192.0.2.1|A 192.0.2.2|A 198.51.100.3"}, {"six", "AAAA 2001:db8::6"},
		{"both", "A 192.0.2.7|AAAA 2001:db8::7"}, {"mapped", "AAAA ::ffff:192.0.2.8"}, {"mappedfour", "A 192.0.2.9|AAAA ::ffff:192.0.2.9"},
		{"mixed", "A 192.0.2.10|AAAA ::ffff:192.0.2.10|AAAA 2001:db8::10"}, {"text", "TXT none"}, {"private", "A 10.1.2.3"},
		{"loop4", "A 127.0.0.1"}, {"mail", "MX 10 four|A 192.0.2.11"},
	}
	for i, ttl := range []int{30, 200, 450, 700, 1300} {
		for _, set := range sets {
			for record := range strings.SplitSeq(set.records, "|") {
				fmt.Fprintf(&b, "%s%d %d IN %s\n", set.name, i, ttl, record)
			}
			target := fmt.Sprintf("%s%d", set.name, i)
			fmt.Fprintf(&b, "c1-%s %d IN CNAME %s\n", target, 100*(i+1), target)
			fmt.Fprintf(&b, "c2-%s 900 IN CNAME c1-%s\n", target, target)
			fmt.Fprintf(&b, "c3-%s 900 IN CNAME c2-%s\n", target, target)
			fmt.Fprintf(&b, "out-%s 900 IN CNAME %s.%s\n", target, target, other(origin))
			fmt.Fprintf(&b, "*.wild-%s %d IN CNAME %s\n", target, ttl, target)
			names = append(names, target, "c1-"+target, "c2-"+target, "c3-"+target, "out-"+target, "x.wild-"+target, target+".sub")
		}
		fmt.Fprintf(&b, "*.w4-%d %d IN A 192.0.2.%d\n*.w6-%d %d IN AAAA 2001:db8::%d\nd%d 500 IN DNAME t%d\n", i, ttl, 20+i, i, ttl, 20+i, i, i)
		fmt.Fprintf(&b, "a.t%d %d IN A 192.0.2.%d\nb.t%d %d IN AAAA 2001:db8::%d\n", i, ttl, 30+i, i, ttl, 30+i)
		fmt.Fprintf(&b, "nowhere%d 60 IN CNAME missing%d\nbroken%d 300 IN NS ns\n", i, i, i)
		for _, name := range []string{"y.w4-%d", "z.y.w4-%d", "y.w6-%d", "w4-%d", "a.d%d", "b.d%d", "none.d%d", "a.t%d", "b.t%d", "t%d", "nowhere%d", "missing%d", "x.broken%d"} {
			names = append(names, fmt.Sprintf(name, i))
		}
	}
	fmt.Fprint(&b, "circle1 60 IN CNAME circle2\ncircle2 60 IN CNAME circle1\n")
	names = append(names, "@", "circle1")
	for i, name := range names {
		names[i] = strings.TrimPrefix(name+"."+origin, "@.")
	}
	return b.String(), names
}

func other(origin string) string {
	if origin == "plain.test." {
		return "signed.test."
	}
	return "plain.test."
}

// start runs a server in the foreground until the test ends, and waits until it answers.
func start(t *testing.T, addr, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), lab.Program(t, program), args...)
	output := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = output, output
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s %q:\n%s", program, args, output)
		}
	})
	require.Eventually(t, func() bool {
		client := dns.Client{Timeout: time.Second}
		answer, _, err := client.Exchange(question("six0.signed.test.", dns.TypeAAAA), net.JoinHostPort(addr, "53"))
		return err == nil && answer.Rcode == dns.RcodeSuccess && len(answer.Answer) > 0
	}, 20*time.Second, 100*time.Millisecond, "%s does not answer", program)
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// laboratory starts the four other servers and ours.
func laboratory(t *testing.T) (names []string) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o777))
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	plain, plainNames := zoneText("plain.test.", 500)
	signed, signedNames := zoneText("signed.test.", 120)
	write(t, dir, "plain.zone", plain)
	write(t, dir, "ipv4only.zone", "$TTL 60\n@ SOA ns.test. h.test. 1 1 1 1 60\n@ NS ns.test.\n@ A 192.0.0.170\n@ A 192.0.0.171\n")
	write(t, dir, "signed.zone", signed)
	cmd := exec.CommandContext(t.Context(), "dnssec-keygen", "-K", dir, "-a", "13", "-f", "KSK", "signed.test")
	key, err := cmd.Output()
	require.NoError(t, err)
	lab.Run(t, "dnssec-signzone", "-S", "-z", "-K", dir, "-d", dir, "-o", "signed.test", "-f", filepath.Join(dir, "signed.signed"), filepath.Join(dir, "signed.zone"))
	anchor := filepath.Join(dir, strings.TrimSpace(string(key))+".key")

	for _, addr := range []string{authority, bindDNS64} { // named listens on what an interface has
		lab.Run(t, "ip", "address", "add", addr+"/8", "dev", "lo")
	}
	options := func(addr, more string) string {
		return fmt.Sprintf(`options { directory %q; listen-on { %s; }; listen-on-v6 { none; }; pid-file none; session-keyfile none;
	dnssec-validation no; allow-query { any; }; %s };
controls { };
`, dir, addr, more)
	}
	const zones = `zone "plain.test" { type primary; file "plain.zone"; };
zone "signed.test" { type primary; file "signed.signed"; };
`
	var broken strings.Builder // zones that the authority cannot load: it fails
	for i := range 5 {
		fmt.Fprintf(&broken, "zone \"broken%d.plain.test\" { type primary; file \"missing\"; };\nzone \"broken%d.signed.test\" { type primary; file \"missing\"; };\n", i, i)
	}
	start(t, authority, "named", "-g", "-c", write(t, dir, "authority.conf",
		options(authority, "recursion no; minimal-responses no;")+zones+broken.String()))
	unbound := func(addr, modules, more string) string {
		return write(t, dir, "unbound-"+addr+".conf", fmt.Sprintf(`server:
	interface: %s
	port: 53
	do-daemonize: no
	use-syslog: no
	logfile: ""
	pidfile: ""
	chroot: ""
	username: ""
	directory: %q
	do-not-query-localhost: no
	module-config: %q
	trust-anchor-file: %q
	domain-insecure: "plain.test"
	local-zone: "test." nodefault
	access-control: 127.0.0.0/8 allow
%s
stub-zone:
	name: "plain.test"
	stub-addr: %s
stub-zone:
	name: "signed.test"
	stub-addr: %s
remote-control:
	control-enable: no
`, addr, dir, modules, anchor, more, authority, authority))
	}
	start(t, validating, "unbound", "-d", "-c", unbound(validating, "validator iterator", ""))
	start(t, bindDNS64, "named", "-g", "-c", write(t, dir, "bind.conf", options(bindDNS64,
		"recursion yes; allow-recursion { any; }; forward only; forwarders { "+authority+"; }; dns64 "+diffPrefix+" { };")+
		`zone "ipv4only.arpa" { type primary; file "ipv4only.zone"; };`+"\n"))
	start(t, unboundDNS, "unbound", "-d", "-c", unbound(unboundDNS, "dns64 validator iterator", "\tdns64-prefix: "+diffPrefix))

	udp, err := net.ListenPacket("udp", oursDNS64+":53")
	require.NoError(t, err)
	tcp, err := net.Listen("tcp", oursDNS64+":53")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	forwarder := &Forwarder{Servers: []string{validating + ":53"}, Attempt: 10 * time.Second}
	handler := &Handler{Upstream: forwarder, Timeout: 10 * time.Second, Rate: -1, Table: nat64.TableOf(nat64.MustParsePrefix(diffPrefix))}
	go func() { ended <- (&Server{Handler: handler}).Serve(ctx, udp, tcp) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		forwarder.Close()
	})
	return append(plainNames, signedNames...)
}

// An outcome is what is compared of an answer.
type outcome struct {
	rcode   string
	records []string // without TTLs, sorted
	ttl     map[string]uint32
	ad      bool
}

func (o outcome) String() string {
	return fmt.Sprintf("%s ad=%t %q ttl=%v", o.rcode, o.ad, o.records, o.ttl)
}

func ask(t *testing.T, server, name string, qtype uint16, do bool) outcome {
	query := question(name, qtype)
	query.SetEdns0(1232, do)
	client := dns.Client{Timeout: 15 * time.Second, Net: "tcp"}
	answer, _, err := client.Exchange(query, server+":53")
	require.NoError(t, err, "%s from %s", name, server)
	o := outcome{rcode: dns.RcodeToString[answer.Rcode], ad: answer.AuthenticatedData, ttl: map[string]uint32{}}
	for _, rr := range answer.Answer {
		if rr.Header().Rrtype == dns.TypeRRSIG {
			continue // compared by the validator that stands in between
		}
		key := strings.ToLower(rr.Header().Name + " " + dns.TypeToString[rr.Header().Rrtype])
		o.ttl[key] = rr.Header().Ttl
		o.records = append(o.records, key+" "+strings.ToLower(strings.Join(strings.Fields(rr.String())[4:], " ")))
	}
	slices.Sort(o.records)
	return o
}

// A deviation is where a peer does otherwise, and the section that decides it.
// Its undo takes the difference out of the peer's answer, and reports whether
// it was there.
type deviation struct {
	peer, why string
	undo      func(do bool, ours, theirs *outcome) bool
}

var deviations = []deviation{
	{"bind", "a signed empty answer to a query with DO is not synthesized from; RFC 6147, section 5.5, has it only with CD", func(do bool, ours, theirs *outcome) bool {
		synthesized := func(r string) bool { return strings.Contains(r, " aaaa 2001:db8:64::") }
		if !do || slices.ContainsFunc(theirs.records, synthesized) || !slices.ContainsFunc(ours.records, synthesized) {
			return false
		}
		theirs.take(ours, synthesized)
		theirs.drop(isMapped)
		return true
	}},
	{"bind", "a signed answer to a query with DO keeps excluded records; RFC 6147, section 5.1.4, has no such case", func(do bool, ours, theirs *outcome) bool {
		return do && theirs.drop(isMapped)
	}},
	{"bind", "without an SOA record the TTL is the A record's; RFC 6147, section 5.1.7, wants no more than 600 s", func(_ bool, ours, theirs *outcome) bool {
		return theirs.takeTTLs(ours, func(own, ttl uint32) bool { return own == maxTTLWithoutSOA && ttl > own })
	}},
	{"bind", "keeps what a wildcard made no longer than the NSEC record that proves it, as a cache may; RFC 6147, section 5.1.5: we pass on what came", func(_ bool, ours, theirs *outcome) bool {
		return theirs.takeTTLs(ours, func(own, ttl uint32) bool { return ttl <= 120 && own > ttl })
	}},
	{"bind", "gives the CNAME of a DNAME the TTL of the DNAME (RFC 6672, section 3.1); RFC 6147, section 5.1.5: we pass on the 0 that unbound, our upstream, gave it", func(_ bool, ours, theirs *outcome) bool {
		return theirs.takeTTLs(ours, func(own, ttl uint32) bool { return own == 0 && ttl > 400 })
	}},
	{"unbound", "has no exclusion set: IPv4-mapped AAAA records are kept; RFC 6147, section 5.1.4, drops them by default", func(_ bool, ours, theirs *outcome) bool {
		if !theirs.drop(isMapped) {
			return false
		}
		theirs.take(ours, func(r string) bool { return strings.Contains(r, " aaaa 2001:db8:64::") })
		return true
	}},
	{"unbound", "does not shorten the TTL to that of the SOA; RFC 6147, section 5.1.7, does", func(_ bool, ours, theirs *outcome) bool {
		return theirs.takeTTLs(ours, func(own, ttl uint32) bool { return own <= 500 && ttl > own })
	}},
	{"unbound", "sets AD, as it validates; RFC 6147, section 5.5: who does not validate must not", func(_ bool, ours, theirs *outcome) bool {
		found := theirs.ad && !ours.ad
		theirs.ad = ours.ad
		return found
	}},
	{"unbound", "gives the CNAME of a DNAME in its cache a TTL of 0; RFC 6672, section 3.1, wants that of the DNAME, which upstream's first answer has", func(_ bool, ours, theirs *outcome) bool {
		return theirs.takeTTLs(ours, func(own, ttl uint32) bool { return own > 400 && ttl == 0 || own == 0 && ttl > 400 })
	}},
}

func isMapped(record string) bool { return strings.Contains(record, " aaaa ::ffff:") }

// drop removes records, and reports whether there were any.
func (o *outcome) drop(is func(string) bool) bool {
	before := len(o.records)
	o.records = slices.DeleteFunc(o.records, is)
	o.forgetTTLs()
	return len(o.records) < before
}

// take adds the other's records that o lacks.
func (o *outcome) take(other *outcome, is func(string) bool) {
	for _, record := range other.records {
		if is(record) && !slices.Contains(o.records, record) {
			o.records = append(o.records, record)
			key := strings.Join(strings.Fields(record)[:2], " ")
			o.ttl[key] = other.ttl[key]
		}
	}
	slices.Sort(o.records)
}

// takeTTLs makes TTLs the other's where they differ as told.
func (o *outcome) takeTTLs(other *outcome, differ func(own, ttl uint32) bool) bool {
	found := false
	for key, ttl := range o.ttl {
		if own, both := other.ttl[key]; both && differ(own, ttl) {
			o.ttl[key], found = own, true
		}
	}
	return found
}

// forgetTTLs removes the TTLs of what has no record any more.
func (o *outcome) forgetTTLs() {
	for key := range o.ttl {
		if !slices.ContainsFunc(o.records, func(r string) bool { return strings.HasPrefix(r, key+" ") }) {
			delete(o.ttl, key)
		}
	}
}

// same reports whether the two agree; TTLs may have aged while the test ran.
func same(ours, theirs outcome) bool {
	if ours.rcode != theirs.rcode || ours.ad != theirs.ad || !slices.Equal(ours.records, theirs.records) {
		return false
	}
	for key, ttl := range ours.ttl {
		if diff := int(ttl) - int(theirs.ttl[key]); diff < -60 || diff > 60 {
			return false
		}
	}
	return true
}

// Our answers beside BIND's and unbound's: each difference has its line above.
func TestDifferential(t *testing.T) {
	lab.Need(t, "named", "unbound", "dnssec-keygen", "dnssec-signzone", "dig")
	if !lab.Isolated(t) {
		return
	}
	names := laboratory(t)
	require.Greater(t, len(names), 500)
	used := map[string]int{}
	unexplained := 0
	compare := func(name string, qtype uint16, do bool) {
		ours := ask(t, oursDNS64, name, qtype, do)
		for _, at := range [][2]string{{"bind", bindDNS64}, {"unbound", unboundDNS}} {
			peer, server := at[0], at[1]
			theirs := ask(t, server, name, qtype, do)
			if same(ours, theirs) {
				continue
			}
			was := theirs.String()
			for _, d := range deviations {
				if d.peer == peer && d.undo(do, &ours, &theirs) {
					used[d.peer+": "+d.why]++
				}
			}
			if same(ours, theirs) {
				continue
			}
			unexplained++
			t.Errorf("%s %s do=%t\n\tours:    %v\n\t%-8s %v", name, dns.TypeToString[qtype], do, ours, peer+":", was)
		}
	}
	// dig and our Discoverer learn the prefix from us, and from BIND.
	for _, server := range []string{oursDNS64, bindDNS64} {
		require.Equal(t, diffPrefix, strings.TrimSpace(lab.Run(t, "dig", "+dns64prefix", "@"+server)), server)
		found, err := (&nat64.Discoverer{Servers: []string{server + ":53"}}).Discover(t.Context())
		require.NoError(t, err)
		require.Equal(t, diffPrefix, found[0].Prefix.String())
		require.True(t, found[0].Paired)
	}
	for _, name := range names {
		compare(name, dns.TypeAAAA, false)
		compare(name, dns.TypeAAAA, true)
		compare(name, dns.TypeA, false)
	}
	t.Logf("%d names, %d differences without a reason", len(names), unexplained)
	for why, count := range used {
		t.Logf("%4d x %s", count, why)
	}
	for _, d := range deviations {
		require.NotZero(t, used[d.peer+": "+d.why], "a deviation that is none any more: %s: %s", d.peer, d.why)
	}
}
