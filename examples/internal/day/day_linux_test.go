package main

import (
	"context"
	"crypto/x509"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/examples/internal/rack"
)

// visit has a few visitors come to a server until they have asked ten times.
func visit(t *testing.T, handler http.Handler) *visitors {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var asked atomic.Int64
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 10 {
			cancel()
		}
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	v := &visitors{address: server.Listener.Addr().String(), name: "example.com", page: page, number: 5, rate: 1000, stay: 100 * time.Millisecond, local: true}
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	v.roots.Store(pool)
	v.run(ctx)
	return v
}

func TestVisitors(t *testing.T) {
	v := visit(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Boot", "pi1 id")
		io.WriteString(w, page)
	}))
	require.Zero(t, v.failures, v.errors)
	require.NotZero(t, v.requests.Load())
	require.Equal(t, int(v.requests.Load()), v.by["pi1"])
	require.NotZero(t, v.latency(0.99))
	require.Len(t, v.serials, 1)
}

// What is not the page, in time, from who it must be, is an error.
func TestVisitorsErrors(t *testing.T) {
	for _, handler := range []http.HandlerFunc{
		func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "another page") },
		func(w http.ResponseWriter, _ *http.Request) { http.Error(w, page, http.StatusBadGateway) },
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		v := visit(t, handler)
		require.NotZero(t, v.failures)
		require.NotEmpty(t, v.errors)
	}
}

func TestReport(t *testing.T) {
	r, err := rack.Parse("rack.yaml", rack.Story)
	require.NoError(t, err)
	began := time.Now()
	d := &day{began: began, rack: r}
	for i := range 11 {
		d.events = append(d.events, event{began.Add(time.Duration(i) * time.Second), "something", time.Second})
	}
	d.visitors.by = map[string]int{"pi1": 3}
	d.attacks = []result{{"file handles", 7, []string{"read what it must not"}}}
	text := d.text([]string{"read what it must not"})
	require.Contains(t, text, "| answers of pi1 | 3 |")
	require.Contains(t, text, "| pi7, file handles: tried | 7 |")
	require.Contains(t, text, "\n- read what it must not")

	field := "frontend_backend_active " + "_" + munin(r.Pis[0].Public.Addr().String())
	d.samples.fields = []string{field}
	d.samples.values = map[string][]float64{field: {0, 5, 9}}
	for i := range 3 {
		d.samples.times = append(d.samples.times, began.Add(time.Duration(i)*time.Second))
	}
	svg := d.graph()
	require.NoError(t, xml.Unmarshal([]byte(svg), new(any)))
	require.Contains(t, svg, ">pi1<")
	require.Equal(t, 1, strings.Count(svg, "<polygon"))
}
