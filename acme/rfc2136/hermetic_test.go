package rfc2136_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/rfc2136"
)

// server answers updates as handler says, and knows the test's key.
func server(t *testing.T, handler dns.HandlerFunc) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &dns.Server{Listener: l, Handler: handler, TsigSecret: map[string]string{key.Name: string(key.Secret)},
		MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }}
	started, done := make(chan struct{}), make(chan struct{})
	s.NotifyStartedFunc = func() { close(started) }
	go func() { defer close(done); s.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { s.Shutdown(); <-done })
	return l.Addr().String()
}

var record = acme.Record{Zone: "example.org.", Name: "_acme-challenge.example.org.", Value: "value", TTL: time.Minute}

// What goes over the wire is one record (RFC 2136 sections 2.5.1 and 2.5.4).
func TestUpdate(t *testing.T) {
	var got []string
	addr := server(t, func(w dns.ResponseWriter, m *dns.Msg) {
		for _, rr := range m.Ns {
			got = append(got, rr.String())
		}
		if w.TsigStatus() != nil || m.Opcode != dns.OpcodeUpdate || m.Question[0].Name != record.Zone {
			got = append(got, "not a signed update of the zone")
		}
		reply := new(dns.Msg).SetReply(m)
		reply.SetTsig(key.Name, dns.HmacSHA256, 300, time.Now().Unix())
		w.WriteMsg(reply)
	})
	p := &rfc2136.Provider{Server: addr, Key: key}
	require.NoError(t, p.AppendTXT(t.Context(), record))
	require.NoError(t, p.DeleteTXT(t.Context(), record))
	require.Equal(t, []string{
		"_acme-challenge.example.org.\t60\tIN\tTXT\t\"value\"",
		"_acme-challenge.example.org.\t0\tNONE\tTXT\t\"value\"",
	}, got)
}

func TestUnsignedAnswerIsRefused(t *testing.T) {
	addr := server(t, func(w dns.ResponseWriter, m *dns.Msg) { w.WriteMsg(new(dns.Msg).SetReply(m)) })
	err := (&rfc2136.Provider{Server: addr, Key: key}).AppendTXT(t.Context(), record)
	require.ErrorContains(t, err, "cannot be trusted")
}

func TestUnreachableServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close() // accepts nobody
	p := &rfc2136.Provider{Server: l.Addr().String(), Key: key, Timeout: 50 * time.Millisecond}
	err = p.AppendTXT(t.Context(), record)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, l.Addr().String())

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	require.Error(t, p.AppendTXT(ctx, record))
}

func TestCheckTellsAllAtOnce(t *testing.T) {
	p := &rfc2136.Provider{Key: rfc2136.Key{Name: "a b", Algorithm: "hmac-md5", Secret: "not base64!"}}
	err := p.Check()
	for _, want := range []string{"no server", "name of the TSIG key", "hmac-sha256", "not base64"} {
		require.ErrorContains(t, err, want)
	}
	require.NotContains(t, err.Error(), "not base64!")
	require.Equal(t, err.Error(), p.AppendTXT(t.Context(), record).Error())
}

func TestSecretIsNotPrinted(t *testing.T) {
	p := rfc2136.Provider{Key: key}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		require.NotContains(t, fmt.Sprintf(verb, p), string(key.Secret))
		require.NotContains(t, fmt.Sprintf(verb, &p), string(key.Secret))
	}
}

func ExampleProvider() {
	p := &rfc2136.Provider{Server: "[2001:db8::53]:53", Key: rfc2136.Key{Name: "acme.", Secret: "c2VjcmV0"}}
	fmt.Println(p.Check(), p.Key)
	// Output: <nil> acme. hmac-sha256
}
