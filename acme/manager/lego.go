package manager

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	lego "github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"
	"github.com/go-acme/lego/v4/certificate"
)

// All of lego that this package uses is in this file.

const (
	userAgent      = "berryrack"
	requestTimeout = time.Minute
	maxAnswer      = 1 << 20 // bytes
	maxText        = 2000    // bytes of its words that are kept
)

// client is an account's connection to an authority, for as long as its context.
type client struct {
	core    *api.Core
	account string // its URL, "" before there is one
	wire    *wire
}

// order is one of the authority's.
type order struct {
	url         string
	status      string
	finalize    string
	certificate string
	authz       []string
	problem     error // why it is invalid
}

// authorization is one of an order's.
type authorization struct {
	url        string
	name       string // without "*."
	status     string
	challenges map[string]challenge // by type
	problem    error
}

type challenge struct {
	url, token, keyAuthorization string
}

// wire gives every request a context, as lego's functions take none, and a
// User-Agent, which lego's questions for renewal information lack (RFC 8555
// section 6.1). It bounds what is read, and keeps what lego's errors do not tell.
type wire struct {
	ctx       context.Context
	transport http.RoundTripper

	mu sync.Mutex
	// refusals are the last answers of each status from 400 on.
	refusals map[int]refusal
}

// refusal is what the header of an answer says of it.
type refusal struct {
	status     string
	retryAfter time.Duration // RFC 9110 section 10.2.3
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(w.ctx)
	if r.UserAgent() == "" {
		r.Header.Set("User-Agent", userAgent)
	}
	response, err := w.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = http.MaxBytesReader(nil, response.Body, maxAnswer)
	if response.StatusCode >= http.StatusBadRequest {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.refusals[response.StatusCode] = refusal{response.Status, retryAfter(response.Header.Get("Retry-After"))}
	}
	return response, nil
}

// wish returns how long answers of a status ask to wait.
func (w *wire) wish(status int) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refusals[status].retryAfter
}

// connect fetches the authority's directory. The account is its URL, "" before
// there is one.
func connect(ctx context.Context, base *http.Client, directory, account string, key crypto.PrivateKey) (*client, error) {
	transport := http.DefaultTransport
	if base != nil && base.Transport != nil {
		transport = base.Transport
	}
	w := &wire{ctx: ctx, transport: transport, refusals: map[int]refusal{}}
	core, err := api.New(&http.Client{Transport: w, Timeout: requestTimeout}, userAgent, directory, account, key)
	if err != nil {
		return nil, w.problem(err)
	}
	return &client{core, account, w}, nil
}

// register makes the key's account, or finds the one that it has.
func (c *client) register(email string, agree bool, external *ExternalAccount) (string, error) {
	request := lego.Account{TermsOfServiceAgreed: agree}
	if email != "" {
		request.Contact = []string{"mailto:" + email}
	}
	var account lego.ExtendedAccount
	var err error
	if external != nil {
		account, err = c.core.Accounts.NewEAB(request, external.KeyID, string(external.HMAC))
	} else {
		account, err = c.core.Accounts.New(request)
	}
	return account.Location, c.wire.problem(err)
}

// terms returns where the authority's terms of service are.
func (c *client) terms() string { return c.core.GetDirectory().Meta.TermsOfService }

// profiles returns the names of those that the authority has.
func (c *client) profiles() []string {
	return slices.Sorted(maps.Keys(c.core.GetDirectory().Meta.Profiles))
}

func (c *client) newOrder(names []string, profile, replaces string) (order, error) {
	o, err := c.core.Orders.NewWithOptions(names, &api.OrderOptions{Profile: profile, ReplacesCertID: replaces})
	if err != nil {
		return order{}, c.wire.problem(err)
	}
	return c.orderOf(o.Location, o), nil
}

func (c *client) order(url string) (order, error) {
	o, err := c.core.Orders.Get(url)
	if err != nil {
		return order{}, c.wire.problem(err)
	}
	return c.orderOf(url, o), nil
}

func (c *client) orderOf(url string, o lego.ExtendedOrder) order {
	result := order{url: url, status: o.Status, finalize: o.Finalize, certificate: o.Certificate, authz: o.Authorizations}
	if o.Status == lego.StatusInvalid {
		result.problem = errors.New("the authority has made the order invalid, without saying why")
		if o.Error != nil {
			result.problem = c.wire.problem(o.Err())
		}
	}
	return result
}

func (c *client) authorization(url string) (authorization, error) {
	a, err := c.core.Authorizations.Get(url)
	if err != nil {
		return authorization{}, c.wire.problem(err)
	}
	result := authorization{url: url, name: a.Identifier.Value, status: a.Status, challenges: map[string]challenge{}}
	for _, ch := range a.Challenges {
		keyAuthorization, err := c.core.GetKeyAuthorization(ch.Token)
		if err != nil {
			return authorization{}, c.wire.problem(err)
		}
		result.challenges[ch.Type] = challenge{ch.URL, ch.Token, keyAuthorization}
		if ch.Error != nil {
			result.problem = c.wire.problem(ch.Err())
		}
	}
	return result, nil
}

// accept tells the authority to look.
func (c *client) accept(ch challenge) error {
	_, err := c.core.Challenges.New(ch.url)
	return c.wire.problem(err)
}

// giveUp ends an authorization that will not be proved.
func (c *client) giveUp(url string) error {
	return c.wire.problem(c.core.Authorizations.Deactivate(url))
}

func (c *client) finalize(o order, csr []byte) error {
	_, err := c.core.Orders.UpdateForCSR(o.finalize, csr)
	return c.wire.problem(err)
}

// chains returns the chains that the authority offers, its default first.
func (c *client) chains(url string) ([][]byte, error) {
	all, err := c.core.Certificates.GetAll(url, true)
	if err != nil {
		return nil, c.wire.problem(err)
	}
	chains := [][]byte{all[url].Cert}
	for _, alternate := range slices.Sorted(maps.Keys(all)) {
		if alternate != url {
			chains = append(chains, all[alternate].Cert)
		}
	}
	return chains, nil
}

// errNoRenewalInfo is returned by an authority without RFC 9773.
var errNoRenewalInfo = errors.New("the authority gives no renewal information")

// renewalInfo returns the window that the authority suggests, and when to ask again.
func (c *client) renewalInfo(leaf *x509.Certificate) (window, time.Duration, error) {
	id, err := certificate.MakeARICertID(leaf)
	if err != nil {
		return window{}, 0, err
	}
	response, err := c.core.Certificates.GetRenewalInfo(id)
	if errors.Is(err, api.ErrNoARI) {
		return window{}, 0, errNoRenewalInfo
	}
	if err != nil {
		return window{}, 0, c.wire.problem(err)
	}
	defer response.Body.Close()
	retry, _ := api.ParseRetryAfter(response.Header.Get("Retry-After"))
	if response.StatusCode != http.StatusOK {
		return window{}, retry, fmt.Errorf("renewal information: %s", response.Status)
	}
	var info lego.RenewalInfoResponse
	if err := json.NewDecoder(http.MaxBytesReader(nil, response.Body, 1<<16)).Decode(&info); err != nil {
		return window{}, retry, fmt.Errorf("renewal information: %w", err)
	}
	if !info.SuggestedWindow.End.After(info.SuggestedWindow.Start) { // RFC 9773 section 4.2
		return window{}, retry, errors.New("renewal information: the window ends before it begins")
	}
	return window{Start: info.SuggestedWindow.Start, End: info.SuggestedWindow.End, Explanation: brief(info.ExplanationURL)}, retry, nil
}

// replaces returns the identifier of a certificate that an order may name.
func replaces(leaf *x509.Certificate) string {
	id, err := certificate.MakeARICertID(leaf)
	if err != nil {
		return ""
	}
	return id
}

func (c *client) revoke(der []byte, reason uint) error {
	return c.wire.problem(c.core.Certificates.Revoke(lego.RevokeCertMessage{
		Certificate: base64.RawURLEncoding.EncodeToString(der), Reason: &reason,
	}))
}

// problem turns what lego returns into a *Problem where the authority said it.
func (w *wire) problem(err error) error {
	var details *lego.ProblemDetails
	if err == nil {
		return nil
	}
	if !errors.As(err, &details) {
		return w.plain(err)
	}
	p := &Problem{Type: brief(details.Type), Detail: details.Detail, Status: details.HTTPStatus}
	for _, sub := range details.SubProblems {
		p.Names = append(p.Names, sub.Identifier.Value)
		p.Detail += "; " + sub.Identifier.Value + ": " + sub.Detail
	}
	p.Detail = brief(p.Detail)
	p.RetryAfter = w.wish(p.Status)
	return p
}

// plain is for a refusal that is no problem document, as a proxy before the
// authority makes it: lego's error has the status, and the page.
func (w *wire) plain(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for status, r := range w.refusals {
		if strings.Contains(err.Error(), strconv.Itoa(status)+" ::") {
			return &Problem{Detail: "the authority answers " + r.status, Status: status, RetryAfter: r.retryAfter}
		}
	}
	if text := brief(err.Error()); text != err.Error() {
		return errors.New(text)
	}
	return err
}

// brief shortens what an authority has to say for logs and state, and has it on
// one line: it may quote what it found at anybody's server, and a terminal obeys
// control characters.
func brief(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "..."
}

func retryAfter(text string) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return time.Until(at)
	}
	return 0
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
