package failover

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

const (
	userAgent      = "berryrack-failover"
	requestTimeout = 30 * time.Second
	maxPage        = 8 << 20 // bytes of a page that are looked at; a larger one cannot be compared
)

// origin is the site as one host serves it, whatever the DNS says.
type origin struct {
	role   string // "primary" or "standby"
	addr   netip.Addr
	client *http.Client
}

// origin returns the site at addr. Redirects are answers, not followed.
func (s *Site) origin(role string, addr netip.Addr, connections int) *origin {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return s.dial(ctx, network, net.JoinHostPort(addr.String(), port))
		},
		TLSClientConfig:       &tls.Config{RootCAs: s.roots},
		MaxIdleConnsPerHost:   connections,
		ResponseHeaderTimeout: requestTimeout,
		IdleConnTimeout:       requestTimeout,
		DisableCompression:    true,
	}
	return &origin{role, addr, &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (o *origin) close() { o.client.CloseIdleConnections() }

func (o *origin) String() string { return o.role + " " + o.addr.String() }

// do sends a request; the caller closes the answer's body.
func (o *origin) do(ctx context.Context, method, target string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", userAgent)
	response, err := o.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o, err)
	}
	return response, nil
}

// render is one answer to a request for a page.
type render struct {
	status int
	header http.Header
	body   []byte // its first bytes: one more than maxPage of a page that is too large
}

// status is that of an answer, in the standard's words: the server's may be anything.
func status(response *http.Response) string {
	return fmt.Sprintf("%d %s", response.StatusCode, http.StatusText(response.StatusCode))
}

// get fetches a page.
func (o *origin) get(ctx context.Context, target string) (render, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	response, err := o.do(ctx, http.MethodGet, target)
	if err != nil {
		return render{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxPage+1))
	if err != nil {
		return render{}, fmt.Errorf("%s: %s: %w", o, target, err)
	}
	return render{response.StatusCode, response.Header, body}, nil
}

// target is the URL of a request target of an access log, as it was asked for.
func target(page *url.URL, path string) (string, error) {
	u, err := url.Parse(path)
	if err != nil || u.Host != "" || u.Scheme != "" || len(path) == 0 || path[0] != '/' {
		return "", fmt.Errorf("%q is no path", path)
	}
	u.Scheme, u.Host, u.Fragment = page.Scheme, page.Host, ""
	return u.String(), nil
}
