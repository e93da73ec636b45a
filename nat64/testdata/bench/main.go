// Command bench is the other end of the comparisons: clients, backends and a
// stub resolver, each in a process of its own, and our side as a program.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/berryrack/berryrack/nat64"
	"github.com/berryrack/berryrack/nat64/dns64"
	"github.com/berryrack/berryrack/nat64/frontend"
	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

const name = "www.example.org"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	arg := func(i int) string {
		if i >= len(os.Args) {
			log.Fatal("bench: too few arguments")
		}
		return os.Args[i]
	}
	number := func(i int) int {
		n, err := strconv.Atoi(arg(i))
		check(err)
		return n
	}
	switch arg(1) {
	case "backend": // ADDR: sends as many octets as the first 8 behind the hello say, and holds the connection
		backend(arg(2))
	case "fetch": // ADDR CONNECTIONS MEGABYTES
		fetch(arg(2), number(3), number(4))
	case "idle": // ADDR CONNECTIONS: opens them, prints a line, holds them until it is killed
		idle(arg(2), number(3))
		<-ctx.Done()
	case "frontend": // LISTEN BACKENDPORT
		serveFrontend(ctx, arg(2), uint16(number(3)))
	case "dns64": // LISTEN UPSTREAM
		h := &dns64.Handler{
			Upstream: &dns64.Forwarder{Servers: []string{arg(3)}}, Table: nat64.TableOf(nat64.MustParsePrefix("2001:db8:64::/96")),
			Rate: -1, Concurrency: 4096,
		}
		check((&dns64.Server{Handler: h}).ListenAndServe(ctx, arg(2)))
	case "stub": // LISTEN: a resolver that has an A record and no AAAA record for every name
		stub(ctx, arg(2))
	default:
		log.Fatalf("bench: what is %q?", arg(1))
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// clientHello is what crypto/tls says for the name.
func clientHello() []byte {
	near, far := net.Pipe()
	go func() { _ = tls.Client(far, &tls.Config{ServerName: name}).Handshake() }()
	header := make([]byte, 5)
	_, err := io.ReadFull(near, header)
	check(err)
	body := make([]byte, int(header[3])<<8|int(header[4]))
	_, err = io.ReadFull(near, body)
	check(err)
	return append(header, body...)
}

func backend(addr string) {
	l, err := net.Listen("tcp", addr)
	check(err)
	file, err := os.CreateTemp("/dev/shm", "bench")
	check(err)
	check(os.Remove(file.Name()))
	const chunk = 64 << 20
	check(file.Truncate(chunk))
	for {
		conn, err := l.Accept()
		check(err)
		go func() {
			defer conn.Close()
			header := make([]byte, 5)
			if _, err := io.ReadFull(conn, header); err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, conn, int64(header[3])<<8|int64(header[4])); err != nil {
				return
			}
			megabytes := make([]byte, 1)
			if _, err := io.ReadFull(conn, megabytes); err != nil {
				return
			}
			raw, err := conn.(*net.TCPConn).SyscallConn()
			check(err)
			for left := int64(megabytes[0]) << 26; left > 0; {
				offset := int64(0)
				err := raw.Write(func(fd uintptr) bool {
					for offset < chunk {
						if _, err := unix.Sendfile(int(fd), int(file.Fd()), &offset, chunk-int(offset)); err == unix.EAGAIN {
							return false
						} else if err != nil && err != unix.EINTR {
							left = 0
							return true
						}
					}
					return true
				})
				if err != nil {
					return
				}
				left -= chunk
			}
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.ReadFull(conn, megabytes)
		}()
	}
}

func fetch(addr string, connections, chunks int) {
	hello := append(clientHello(), byte(chunks))
	var total atomic.Int64
	var group sync.WaitGroup
	start := time.Now()
	for range connections {
		group.Go(func() {
			conn, err := net.Dial("tcp", addr)
			check(err)
			defer conn.Close()
			_, err = conn.Write(hello)
			check(err)
			raw, err := conn.(*net.TCPConn).SyscallConn()
			check(err)
			buf := make([]byte, 1<<20)
			for done := false; !done; {
				check(raw.Read(func(fd uintptr) bool {
					n, _, err := unix.Recvfrom(int(fd), buf, unix.MSG_TRUNC) // nothing is copied
					if err == unix.EAGAIN {
						return false
					}
					check(err)
					total.Add(int64(n))
					done = n == 0
					return true
				}))
			}
		})
	}
	group.Wait()
	seconds := time.Since(start).Seconds()
	want := int64(connections) * int64(chunks) << 26
	if total.Load() != want {
		log.Fatalf("got %d octets, want %d", total.Load(), want)
	}
	fmt.Printf("%.3f %.3f\n", float64(total.Load())*8/1e9/seconds, float64(total.Load())/1e9)
}

func idle(addr string, connections int) {
	hello := clientHello()
	held := make([]net.Conn, 0, connections)
	for range connections {
		conn, err := net.Dial("tcp", addr)
		check(err)
		_, err = conn.Write(hello)
		check(err)
		held = append(held, conn)
	}
	fmt.Println(len(held))
}

func serveFrontend(ctx context.Context, listen string, port uint16) {
	f, err := frontend.New(frontend.Config{
		Listen: frontend.Listen{TLS: []string{listen}}, Allow: []netip.Prefix{netip.MustParsePrefix("::1/128")},
		Sites:  []frontend.Site{{Names: []string{name}, Backends: []netip.Addr{netip.IPv6Loopback()}, Ports: frontend.Ports{TLS: port}}},
		Limits: frontend.Limits{PerClient: 10000, Drain: time.Millisecond},
	})
	check(err)
	check(f.ListenAndServe(ctx))
}

func stub(ctx context.Context, listen string) {
	soa, err := dns.NewRR("example. 300 SOA ns.example. host.example. 1 1 1 1 300")
	check(err)
	check((&dns64.Server{Handler: dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		answer := new(dns.Msg).SetReply(query)
		answer.RecursionAvailable = true
		q := query.Question[0]
		if q.Qtype == dns.TypeA {
			answer.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300}, A: net.IPv4(192, 0, 2, 1)}}
		} else {
			answer.Ns = []dns.RR{soa}
		}
		_ = w.WriteMsg(answer)
	})}).ListenAndServe(ctx, listen))
}
