package weblab

import (
	"bufio"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
)

// Answer is a response and its whole body, as it was sent.
type Answer struct {
	*http.Response
	Body string
}

// Raw sends a request as it stands, on a connection of its own.
func Raw(t testing.TB, address, request string) Answer {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	method, _, _ := strings.Cut(request, " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return Answer{response, string(body)}
}

// Get asks for a target as it stands, with headers given as names and values in turn.
func Get(t testing.TB, address, host, target string, header ...string) Answer {
	t.Helper()
	return Raw(t, address, lines("GET", host, target, header...))
}

func lines(method, host, target string, header ...string) string {
	request := method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n"
	for i := 0; i < len(header); i += 2 {
		request += header[i] + ": " + header[i+1] + "\r\n"
	}
	return request + "\r\n"
}

// Decoded is the body without its content coding.
func (a Answer) Decoded(t testing.TB) string {
	t.Helper()
	var r io.Reader = strings.NewReader(a.Body)
	switch a.Header.Get("Content-Encoding") {
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		r = z
	case "br":
		r = brotli.NewReader(r)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
