package frontend

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"strings"
	"time"
)

// maxIdleBackend is how many HTTP connections to the backends of a site wait for requests.
const maxIdleBackend = 64

// A transport carries the HTTP requests of one site.
type transport struct {
	http.Transport
	proxy httputil.ReverseProxy
}

// clientKey finds the [client] in a request's context.
type clientKey struct{}

func (f *Frontend) newTransport(s *site) *transport {
	t := new(transport)
	t.Transport = http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, _ := ctx.Value(clientKey{}).(client)
			u, err := f.dial(ctx, s, kindHTTP, c)
			if err != nil {
				return nil, err
			}
			return u, nil
		},
		// A connection that tells who the client is belongs to that client.
		DisableKeepAlives:   s.Proxy != NoProxy,
		DisableCompression:  true,
		MaxIdleConnsPerHost: maxIdleBackend,
		IdleConnTimeout:     30 * time.Second,
	}
	t.proxy = httputil.ReverseProxy{
		Transport: t,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "backend" // dial chooses which
			r.Out.Host = r.In.Host
			r.Out.URL.RawQuery = r.In.URL.RawQuery // as it came, "a;b" included
			r.SetXForwarded()                      // replaces what the client claims
			r.Out.Header.Del("X-Real-Ip")
			r.Out.Header.Add("Via", "1.1 "+f.pseudonym)
		},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if !errors.Is(err, context.Canceled) {
				f.warn("HTTP client", "name", r.Host, "error", err)
			}
			http.Error(w, "No server of this site answers.", http.StatusBadGateway)
		},
		BufferPool: &f.copies,
	}
	return t
}

// ServeHTTP routes one request by its Host.
func (f *Frontend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err == nil {
		remote = netip.AddrPortFrom(remote.Addr().Unmap().WithZone(""), remote.Port())
	}
	c := client{remote: remote}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		c.local = addrPort(local)
	}
	if f.isOwn(c) || f.passedBefore(r) {
		f.counters.loops.Add(1)
		http.Error(w, "The request came back to where it has been.", http.StatusLoopDetected)
		return
	}
	name := r.Host
	if host, _, err := net.SplitHostPort(name); err == nil {
		name = host
	}
	s := f.routes.Load().lookup(canonical(name))
	if s == nil {
		f.counters.noSite.Add(1)
		http.Error(w, "This site is not served here.", http.StatusMisdirectedRequest)
		return
	}
	if r.Method == http.MethodConnect {
		http.Error(w, "This is not a forward proxy.", http.StatusMethodNotAllowed)
		return
	}
	f.counters.requests.Add(1)
	s.http.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), clientKey{}, c)))
}

// passedBefore reports whether this frontend is among those that the request
// has come through (RFC 9110, section 7.6.3).
func (f *Frontend) passedBefore(r *http.Request) bool {
	for _, via := range r.Header.Values("Via") {
		for hop := range strings.SplitSeq(via, ",") {
			if fields := strings.Fields(hop); len(fields) > 1 && fields[1] == f.pseudonym {
				return true
			}
		}
	}
	return false
}

func (f *Frontend) newHTTPServer(limits Limits) *http.Server {
	return &http.Server{
		Handler:           f,
		ReadHeaderTimeout: limits.Hello,
		IdleTimeout:       min(limits.Idle, time.Minute),
		MaxHeaderBytes:    limits.HelloSize,
		ErrorLog:          log.New(io.Discard, "", 0),

		DisableGeneralOptionsHandler: true, // "OPTIONS *" is the backend's to answer
	}
}
