package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// visitors are browsers: each keeps a connection for a while and asks for the
// page over it again and again, verifies who answers, and reads what it gets.
type visitors struct {
	world   world
	address string // of the frontend
	name    string // of the site
	page    string // what the page is
	number  int
	rate    float64 // requests a second, of all of them
	stay    time.Duration
	local   bool // they have no addresses of their own

	roots atomic.Pointer[x509.CertPool]

	open, connections, requests atomic.Int64

	mu        sync.Mutex
	errors    []string
	failures  int
	latencies []time.Duration
	by        map[string]int // answers of each server
	serials   map[string]int // connections by the certificate's number
}

// patience is how long a visitor waits for an answer.
const patience = 15 * time.Second

// run visits until ctx ends; what is asked for by then is still read.
func (v *visitors) run(ctx context.Context) {
	v.by, v.serials = map[string]int{}, map[string]int{}
	var all sync.WaitGroup
	for i := range v.number {
		all.Go(func() {
			// They come one after the other.
			if !sleep(ctx, time.Duration(i)*10*time.Second/time.Duration(v.number)) {
				return
			}
			var from net.IP
			if !v.local {
				from = net.IPv4(198, 18, byte(i/200%200), byte(1+i%200))
			}
			for ctx.Err() == nil {
				if err := v.visit(ctx, from); err != nil {
					v.fail(err)
				}
			}
		})
	}
	all.Wait()
}

// visit is one connection and its requests.
func (v *visitors) visit(ctx context.Context, from net.IP) error {
	began := time.Now()
	dialing, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	raw, err := v.world.dial(dialing, from, v.address)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer raw.Close()
	conn := tls.Client(raw, &tls.Config{ServerName: v.name, RootCAs: v.roots.Load()})
	if err := conn.HandshakeContext(dialing); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	v.open.Add(1)
	defer v.open.Add(-1)
	v.connections.Add(1)
	v.mu.Lock()
	v.serials[conn.ConnectionState().PeerCertificates[0].SerialNumber.Text(16)]++
	v.mu.Unlock()
	reader := bufio.NewReaderSize(conn, 2048)
	stay, pause := around(v.stay), v.pause()
	for {
		if err := v.ask(conn, reader); err != nil {
			return err
		}
		if time.Since(began) >= stay || !sleep(ctx, around(pause)) {
			return conn.Close()
		}
	}
}

// pause is how long a visitor reads, on average.
func (v *visitors) pause() time.Duration {
	return time.Duration(float64(v.number) / v.rate * float64(time.Second))
}

// around is d, or up to half of it more or less.
func around(d time.Duration) time.Duration { return d/2 + rand.N(d) }

// longest is when the last of the visitors that are there has left.
func (v *visitors) longest() time.Duration { return 3*(v.stay+v.pause())/2 + patience }

// ask asks for the page once.
func (v *visitors) ask(conn net.Conn, reader *bufio.Reader) error {
	began := time.Now()
	conn.SetDeadline(began.Add(patience))
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", v.name); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	if response.StatusCode != http.StatusOK || string(body) != v.page {
		return fmt.Errorf("status %d, %d bytes", response.StatusCode, len(body))
	}
	server, _, _ := strings.Cut(response.Header.Get("X-Boot"), " ")
	v.requests.Add(1)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.by[server]++
	v.latencies = append(v.latencies, time.Since(began))
	return nil
}

// keptErrors is how many errors are kept in words.
const keptErrors = 10

func (v *visitors) fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failures++
	if len(v.errors) < keptErrors {
		v.errors = append(v.errors, fmt.Sprintf("%s %v", time.Now().Format(time.TimeOnly), err))
	}
}

// latency returns the time within which a share of the requests was answered.
func (v *visitors) latency(share float64) time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.latencies) == 0 {
		return 0
	}
	slices.Sort(v.latencies)
	return v.latencies[min(int(share*float64(len(v.latencies))), len(v.latencies)-1)]
}

// sleep waits; false: ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

var errTimeout = errors.New("it takes too long")

// until waits for a condition.
func until(ctx context.Context, d time.Duration, condition func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d, errTimeout)
	defer cancel()
	for {
		ok, err := condition()
		if ok {
			return nil
		}
		if !sleep(ctx, 200*time.Millisecond) {
			return errors.Join(context.Cause(ctx), err)
		}
	}
}
