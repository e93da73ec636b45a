package nat64

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	resolvConf   = "/etc/resolv.conf"
	maxServers   = 3 // as resolv.conf(5) has it
	serverWait   = 2 * time.Second
	ednsSize     = 1232
	ipv4OnlyName = "ipv4only.arpa."
)

// askServers asks the network's resolvers for ipv4only.arpa, one after the
// other, until one answers. They must be the network's own: any other knows
// another network's prefixes (RFC 7050, section 3).
func (d *Discoverer) askServers(ctx context.Context) ([]Found, error) {
	servers := d.Servers
	if servers == nil {
		file, err := os.Open(resolvConf)
		if err != nil {
			return nil, fmt.Errorf("nat64: no resolver is known: %w", err)
		}
		defer file.Close()
		if servers, err = readResolvConf(file); err != nil {
			return nil, fmt.Errorf("nat64: %s: %w", resolvConf, err)
		}
	}
	var errs []error
	for _, server := range servers {
		found, err := askServer(ctx, server)
		if err == nil || errors.Is(err, ErrNoPrefix) {
			return found, err
		}
		errs = append(errs, fmt.Errorf("nat64: resolver %s: %w", server, err))
	}
	if errs == nil {
		return nil, fmt.Errorf("nat64: %s has no nameserver", resolvConf)
	}
	return nil, errors.Join(errs...)
}

// readResolvConf returns the nameservers of a resolv.conf.
func readResolvConf(r io.Reader) (servers []string, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() && len(servers) < maxServers {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if addr, err := netip.ParseAddr(fields[1]); err == nil {
			servers = append(servers, netip.AddrPortFrom(addr, 53).String())
		}
	}
	return servers, lines.Err()
}

func askServer(ctx context.Context, server string) ([]Found, error) {
	ctx, cancel := context.WithTimeout(ctx, serverWait)
	defer cancel()
	query, id, err := ipv4OnlyQuery()
	if err != nil {
		return nil, err
	}
	message, err := exchange(ctx, "udp", server, query, id)
	if err == nil && message.Truncated {
		message, err = exchange(ctx, "tcp", server, query, id)
	}
	if err != nil {
		return nil, err
	}
	return readAnswer(message, server, time.Now())
}

// ipv4OnlyQuery returns a query for the AAAA records of ipv4only.arpa, with CD
// unset, or a validating DNS64 would synthesize nothing (RFC 7050, section 3).
func ipv4OnlyQuery() (query []byte, id uint16, err error) {
	var random [2]byte
	_, _ = rand.Read(random[:]) // it cannot fail
	id = binary.BigEndian.Uint16(random[:])
	name := dnsmessage.MustNewName(ipv4OnlyName)
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, RecursionDesired: true})
	var edns dnsmessage.ResourceHeader
	err = errors.Join(
		b.StartQuestions(),
		b.Question(dnsmessage.Question{Name: name, Type: dnsmessage.TypeAAAA, Class: dnsmessage.ClassINET}),
		b.StartAdditionals(),
		edns.SetEDNS0(ednsSize, dnsmessage.RCodeSuccess, false),
		b.OPTResource(edns, dnsmessage.OPTResource{}),
	)
	if err != nil {
		return nil, 0, err
	}
	query, err = b.Finish()
	return query, id, err
}

// exchange sends the query and returns the answer to it.
func exchange(ctx context.Context, network, server string, query []byte, id uint16) (*dnsmessage.Message, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	stream := network == "tcp"
	if stream {
		query = append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
	}
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	for {
		octets, err := receive(conn, stream)
		if err != nil {
			return nil, errors.Join(context.Cause(ctx), err)
		}
		message := new(dnsmessage.Message)
		if message.Unpack(octets) == nil && isAnswer(message, id) {
			return message, nil
		}
		if stream {
			return nil, errors.New("it answers something else")
		}
	}
}

func receive(conn net.Conn, stream bool) ([]byte, error) {
	if !stream {
		buf := make([]byte, ednsSize)
		n, err := conn.Read(buf)
		return buf[:n], err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	buf := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(conn, buf)
	return buf, err
}

func isAnswer(m *dnsmessage.Message, id uint16) bool {
	return m.ID == id && m.Response && len(m.Questions) == 1 && m.Questions[0].Type == dnsmessage.TypeAAAA &&
		m.Questions[0].Class == dnsmessage.ClassINET && strings.EqualFold(m.Questions[0].Name.String(), ipv4OnlyName)
}

// readAnswer reads the prefixes of an answer about ipv4only.arpa. They live as
// long as the record that lives shortest.
func readAnswer(m *dnsmessage.Message, server string, now time.Time) ([]Found, error) {
	if m.RCode != dnsmessage.RCodeSuccess && m.RCode != dnsmessage.RCodeNameError {
		return nil, fmt.Errorf("%v", m.RCode)
	}
	var addrs []netip.Addr
	ttl := uint32(1<<31 - 1)
	for _, rr := range m.Answers {
		if aaaa, ok := rr.Body.(*dnsmessage.AAAAResource); ok {
			addrs = append(addrs, netip.AddrFrom16(aaaa.AAAA))
		}
		ttl = min(ttl, rr.Header.TTL)
	}
	found := readPrefixes(addrs)
	if len(found) == 0 {
		return nil, ErrNoPrefix
	}
	for i := range found {
		found[i].Expires = now.Add(max(minRefresh, time.Duration(ttl)*time.Second))
		found[i].From = server
	}
	return found, nil
}
