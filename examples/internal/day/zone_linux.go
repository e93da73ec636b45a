package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/manager"
	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/server"
	"github.com/berryrack/berryrack/dnssec/wire"
)

const (
	origin   = "rack.example."
	zoneText = "$TTL 2\n@ SOA ns host 1 60 60 1209600 2\n@ NS ns\nns A 127.0.0.1\nwww A " + frontAddress + "\n"
)

// names is the site's zone, signed and served by package dnssec, and unbound,
// which validates what it is asked for.
type names struct {
	manager  *manager.Manager
	origin   wire.Name
	resolver string
	unbound  *exec.Cmd
	keys     [2]rollover.KeyID // the ZSK, before and after

	asked, bogus atomic.Int64
	problem      atomic.Pointer[string]
}

// inSeconds has the rollover of a ZSK take seconds: its waits are those of TTLs.
var inSeconds = manager.Policy{Policy: rollover.Policy{
	Algorithm: dnssec.ECDSAP256SHA256, KeyTTL: 2 * time.Second, ZoneTTL: 2 * time.Second, DSTTL: 2 * time.Second,
	ZonePropagation: time.Second, ParentPropagation: time.Second, PublishSafety: time.Second, RetireSafety: time.Second,
}}

// sign signs the zone, serves it, and starts unbound with its key.
func (d *day) sign(ctx context.Context) error {
	n := &d.names
	var err error
	if n.origin, err = wire.ParseName(origin); err != nil {
		return err
	}
	file := filepath.Join(d.dir, "rack.example.zone")
	if err := os.WriteFile(file, []byte(zoneText), 0o644); err != nil {
		return err
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		return err
	}
	n.manager = &manager.Manager{Dir: filepath.Join(d.dir, "dnssecd"), Server: &server.Server{}, Poll: 200 * time.Millisecond, Watch: time.Second}
	if err := n.manager.Configure([]manager.Zone{{Origin: n.origin, File: file, Policy: inSeconds}}); err != nil {
		return err
	}
	go n.manager.Server.Serve(ctx, udp, tcp)
	go n.manager.Run(ctx, nil)
	if err := n.manager.Do(ctx, n.origin, manager.Order{Signed: true}); err != nil {
		return err
	}
	if err := n.settled(ctx, rollover.KeyID{}); err != nil {
		return err
	}
	anchor, err := keySigningKey(ctx, tcp.Addr().String())
	if err != nil {
		return err
	}
	if err := n.resolve(ctx, d.dir, tcp.Addr().String(), anchor); err != nil {
		return err
	}
	d.background.Go(func() { n.ask(d.visiting) })
	return nil
}

// settled waits until every key is where it is to be, and the ZSK is not the one
// that is given.
func (n *names) settled(ctx context.Context, not rollover.KeyID) error {
	return until(ctx, 5*time.Minute, func() (bool, error) {
		s, err := n.manager.Status(n.origin)
		if err != nil {
			return false, err
		}
		zsk := signing(s)
		return s.Served && zsk != nil && zsk.ID != not && omnipresent(s), fmt.Errorf("%v", s.Reasons)
	})
}

// signing is the ZSK that stays.
func signing(s *manager.Status) *rollover.Key {
	for i := range s.State.Keys {
		if k := &s.State.Keys[i]; k.Role == rollover.ZSK && !k.Retiring {
			return k
		}
	}
	return nil
}

// omnipresent reports whether the ZSKs that stay sign all, and the others are
// gone from all caches.
func omnipresent(s *manager.Status) bool {
	for _, k := range s.State.Keys {
		want := rollover.Omnipresent
		if k.Retiring {
			want = rollover.Hidden
		}
		if k.Role == rollover.ZSK && (k.Records[rollover.DNSKEY].State != want || k.Records[rollover.ZRRSIG].State != want) {
			return false
		}
	}
	return true
}

// keySigningKey asks for the key that resolvers trust.
func keySigningKey(ctx context.Context, address string) (string, error) {
	m := new(dns.Msg).SetQuestion(origin, dns.TypeDNSKEY)
	reply, err := dns.ExchangeContext(ctx, m, address)
	if err != nil {
		return "", err
	}
	for _, rr := range reply.Answer {
		if key, ok := rr.(*dns.DNSKEY); ok && key.Flags&dns.SEP != 0 {
			return strings.Join(strings.Fields(key.String()), " "), nil
		}
	}
	return "", errors.New("no key signing key is served")
}

// resolve starts unbound.
func (n *names) resolve(ctx context.Context, dir, authority, anchor string) error {
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	n.resolver = free.LocalAddr().String()
	free.Close()
	_, port, err := net.SplitHostPort(n.resolver)
	if err != nil {
		return err
	}
	config := filepath.Join(dir, "unbound.conf")
	text := fmt.Sprintf(`server:
  interface: 127.0.0.1
  port: %s
  directory: %q
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  do-not-query-localhost: no
  do-ip6: no
  access-control: 127.0.0.0/8 allow
  module-config: "validator iterator"
  qname-minimisation: no
  num-threads: 1
  trust-anchor: %q
remote-control:
  control-enable: no
stub-zone:
  name: %q
  stub-addr: %s
`, port, dir, anchor, origin, strings.Replace(authority, ":", "@", 1))
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return err
	}
	n.unbound = exec.Command("unbound", "-d", "-p", "-c", config)
	n.unbound.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := n.unbound.Start(); err != nil {
		return err
	}
	return until(ctx, time.Minute, func() (bool, error) {
		err := n.question(ctx, "www."+origin, dns.TypeA)
		return err == nil, err
	})
}

// ask asks, ten times a second, for what is there and for what is not.
func (n *names) ask(ctx context.Context) {
	for i := 0; sleep(ctx, 100*time.Millisecond); i++ {
		name, kind := "www."+origin, dns.TypeA
		if i%3 == 1 {
			name = fmt.Sprintf("no%d.%s", i, origin)
		} else if i%3 == 2 {
			name, kind = origin, dns.TypeDNSKEY
		}
		err := n.question(ctx, name, kind)
		if ctx.Err() != nil {
			return
		}
		n.asked.Add(1)
		if err != nil {
			n.bogus.Add(1)
			text := err.Error()
			n.problem.Store(&text)
		}
	}
}

// question is answered with data that was validated, or it is an error.
func (n *names) question(ctx context.Context, name string, kind uint16) error {
	m := new(dns.Msg).SetQuestion(name, kind).SetEdns0(1232, true)
	client := dns.Client{Timeout: patience}
	reply, _, err := client.ExchangeContext(ctx, m, n.resolver)
	switch {
	case err != nil:
		return err
	case reply.Rcode == dns.RcodeServerFailure || !reply.AuthenticatedData:
		return fmt.Errorf("%s: %s, validated: %t", name, dns.RcodeToString[reply.Rcode], reply.AuthenticatedData)
	}
	return nil
}

// roll rolls the ZSK over.
func (d *day) roll(ctx context.Context) error {
	n := &d.names
	s, err := n.manager.Status(n.origin)
	if err != nil {
		return err
	}
	before := signing(s).ID
	if err := n.manager.Do(ctx, n.origin, manager.Order{Events: []rollover.Event{{Kind: rollover.Roll, Role: rollover.ZSK}}}); err != nil {
		return err
	}
	if err := n.settled(ctx, before); err != nil {
		return err
	}
	if s, err = n.manager.Status(n.origin); err != nil {
		return err
	}
	n.keys = [2]rollover.KeyID{before, signing(s).ID}
	return nil
}
