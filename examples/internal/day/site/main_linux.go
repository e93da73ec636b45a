// Site is the web server of the Pis in the day: pages over HTTP and HTTPS from
// the Pi's root, with a certificate that may be replaced while it serves. On
// port 8088 root may be asked to turn hostile, and tells what it could do.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/berryrack/berryrack/examples/internal/day/visits"
)

const (
	index       = "/srv/www/index.html"
	certificate = "/srv/tls/fullchain.pem"
	key         = "/srv/tls/privkey.pem"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	boot, err := os.ReadFile("/run/boot")
	if err != nil {
		log.Fatal(err)
	}
	pair := &pair{}
	go pair.watch(ctx)
	handler, err := site(strings.TrimSpace(string(boot)))
	if err != nil {
		log.Fatal(err)
	}
	var open visits.Connections
	serve := func(s *http.Server, listen func(*http.Server) error) {
		s.ReadHeaderTimeout, s.IdleTimeout, s.ErrorLog = time.Minute, 5*time.Minute, log.New(io.Discard, "", 0)
		if err := listen(s); err != nil {
			log.Fatal(err)
		}
	}
	control := http.NewServeMux()
	control.HandleFunc("POST /attack", attack)
	control.HandleFunc("POST /secret", keepSecret)
	control.HandleFunc("POST /connections", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, open.Number()) })
	go serve(&http.Server{Addr: ":8088", Handler: control}, (*http.Server).ListenAndServe)
	go serve(&http.Server{Addr: ":443", Handler: handler, ConnState: open.Count, TLSConfig: &tls.Config{GetCertificate: pair.get}},
		func(s *http.Server) error { return s.ListenAndServeTLS("", "") })
	serve(&http.Server{Addr: ":80", Handler: handler, ConnState: open.Count}, (*http.Server).ListenAndServe)
}

// site serves the page, and says by whom.
func site(boot string) (http.Handler, error) {
	page, err := os.ReadFile(index)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Boot", boot)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(page)
	}), err
}

// keepSecret writes what no other Pi may read into this one's root.
func keepSecret(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<10))
	if err == nil {
		err = os.WriteFile("/root/secret", data, 0o600)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// pair is a certificate that is read again when its file is another.
type pair struct {
	mu      sync.Mutex
	current *tls.Certificate
	read    time.Time
}

func (p *pair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current, nil
}

func (p *pair) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if info, err := os.Stat(certificate); err == nil && !info.ModTime().Equal(p.read) {
			p.load(info.ModTime())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// load reads the pair. While its two files are not of one another, the old one
// stays.
func (p *pair) load(modified time.Time) {
	c, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		log.Print(err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current, p.read = &c, modified
}
