package snmp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/gosnmp/gosnmp"

	"github.com/berryrack/berryrack/poe"
)

// Errors that a caller may tell apart with [errors.Is], beside those of
// package poe.
var (
	ErrNoAnswer    = errors.New("no answer: a wrong address, community or privacy passphrase, or a switch that is down or does not listen to this host")
	ErrCredentials = errors.New("the switch does not accept these credentials")
)

const (
	// attempts is how often a question is asked. A SET is sent once.
	attempts = 3
	// bulkBindings is how many variables a GETBULK asks for: net-snmp sends no
	// more than 100 at once.
	bulkBindings = 100
	// maxRows bounds what is read of one column.
	maxRows = 1 << 14
)

// session is the one conversation with a switch: gosnmp's sessions are not
// safe for concurrent use, and small switches answer one question at a time.
type session struct {
	address string
	timeout time.Duration
	free    chan struct{} // holds a token while nobody speaks
	g       *gosnmp.GoSNMP
}

func open(ctx context.Context, c Config) (*session, error) {
	g, err := c.client()
	if err != nil {
		return nil, err
	}
	s := &session{address: c.Address, timeout: c.Timeout, free: make(chan struct{}, 1), g: g}
	if s.timeout <= 0 {
		s.timeout = DefaultTimeout
	}
	g.Context, g.Timeout = ctx, s.timeout
	if err := g.Connect(); err != nil {
		return nil, fmt.Errorf("poe/snmp: %s: %w", s.address, err)
	}
	s.free <- struct{}{}
	return s, nil
}

func (s *session) close() error {
	<-s.free
	defer func() { s.free <- struct{}{} }()
	return s.g.Close()
}

// speak sends one request and returns the answer's variables.
func (s *session) speak(ctx context.Context, tries int, send func(*gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error)) ([]gosnmp.SnmpPDU, error) {
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("poe/snmp: %s: %w", s.address, context.Cause(ctx))
	case <-s.free:
	}
	defer func() { s.free <- struct{}{} }()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("poe/snmp: %s: %w", s.address, err)
	}
	s.g.Context, s.g.Retries, s.g.Timeout = ctx, tries-1, s.timeout/time.Duration(tries)
	// gosnmp ends with a context's deadline, but not when it is cancelled.
	conn := s.g.Conn
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	packet, err := send(s.g)
	if err != nil {
		return nil, s.failed(ctx, err)
	}
	if packet.Error != gosnmp.NoError {
		return packet.Variables, &statusError{s.address, packet.Error}
	}
	return packet.Variables, nil
}

// failed explains an error of the conversation.
func (s *session) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("poe/snmp: %s: %w", s.address, context.Cause(ctx))
	}
	var timeout net.Error
	for _, refusal := range []error{gosnmp.ErrUnknownUsername, gosnmp.ErrWrongDigest, gosnmp.ErrDecryption, gosnmp.ErrUnknownSecurityLevel, gosnmp.ErrUnknownSecurityModels} {
		if errors.Is(err, refusal) {
			return fmt.Errorf("poe/snmp: %s: %w: %w", s.address, ErrCredentials, refusal)
		}
	}
	// An agent that does not know the user cannot sign its report of that.
	if strings.Contains(err.Error(), "not authentic") {
		return fmt.Errorf("poe/snmp: %s: %w: it knows no such user, or another passphrase", s.address, ErrCredentials)
	}
	if errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &timeout) && timeout.Timeout() || strings.Contains(err.Error(), "timeout") {
		return fmt.Errorf("poe/snmp: %s: %w", s.address, ErrNoAnswer)
	}
	return fmt.Errorf("poe/snmp: %s: %w", s.address, err)
}

// statusError is an answer with an error-status (RFC 3416 section 3). After all
// but genErr and undoFailed, nothing was changed.
type statusError struct {
	address string
	status  gosnmp.SNMPError
}

func (e *statusError) Error() string {
	return fmt.Sprintf("poe/snmp: %s: the switch says %v", e.address, e.status)
}

func (e *statusError) Is(target error) bool {
	return target == poe.ErrRefused && e.status != gosnmp.GenErr && e.status != gosnmp.UndoFailed
}

// get returns the values of the variables. One that the switch lacks is nil.
func (s *session) get(ctx context.Context, oids ...string) ([]gosnmp.SnmpPDU, error) {
	answer, err := s.speak(ctx, attempts, func(g *gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error) { return g.Get(oids) })
	if err != nil {
		return nil, err
	}
	if len(answer) != len(oids) {
		return nil, fmt.Errorf("poe/snmp: %s: asked for %d variables, got %d", s.address, len(oids), len(answer))
	}
	for i, pdu := range answer {
		if strings.TrimPrefix(pdu.Name, ".") != oids[i] {
			return nil, fmt.Errorf("poe/snmp: %s: asked for %s, got %s", s.address, oids[i], pdu.Name)
		}
	}
	return answer, nil
}

// set sends a SET of one INTEGER, once.
func (s *session) set(ctx context.Context, oid string, value int) error {
	_, err := s.speak(ctx, 1, func(g *gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error) {
		return g.Set([]gosnmp.SnmpPDU{{Name: oid, Type: gosnmp.Integer, Value: value}})
	})
	return err
}

// columns reads columns of a table side by side, and calls each with the
// column's place, the row's index and the value, row by row.
func (s *session) columns(ctx context.Context, columns []string, each func(column int, index string, value gosnmp.SnmpPDU)) error {
	at := append([]string(nil), columns...)
	var open []int // columns with rows to come
	for i := range columns {
		open = append(open, i)
	}
	for rows := 0; len(open) > 0; {
		var names []string
		for _, i := range open {
			names = append(names, at[i])
		}
		repeat := max(1, bulkBindings/len(names))
		answer, err := s.speak(ctx, attempts, func(g *gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error) {
			return g.GetBulk(names, 0, uint32(repeat))
		})
		if err != nil {
			return err
		}
		if rows += len(answer)/len(names) + 1; rows > maxRows || len(answer) == 0 {
			return fmt.Errorf("poe/snmp: %s: table %s has no end", s.address, columns[0])
		}
		if open, err = s.take(answer, columns, at, open, each); err != nil {
			return err
		}
	}
	return nil
}

// take hands on the rows of an answer, moves each column's place, and returns
// the columns that have not ended. What an agent left out for want of space is
// asked for next.
func (s *session) take(answer []gosnmp.SnmpPDU, columns, at []string, open []int, each func(int, string, gosnmp.SnmpPDU)) ([]int, error) {
	ended := map[int]bool{}
	for k, pdu := range answer {
		i := open[k%len(open)]
		name := strings.TrimPrefix(pdu.Name, ".")
		index, ok := strings.CutPrefix(name, columns[i]+".")
		switch {
		case ended[i]:
		case !ok || pdu.Type == gosnmp.EndOfMibView:
			ended[i] = true
		case !after(name, at[i]):
			return nil, fmt.Errorf("poe/snmp: %s: %s follows %s: its tables are out of order", s.address, name, at[i])
		default:
			at[i] = name
			each(i, index, pdu)
		}
	}
	var left []int
	for _, i := range open {
		if !ended[i] {
			left = append(left, i)
		}
	}
	return left, nil
}

// after reports whether the object identifier a comes after b.
func after(a, b string) bool {
	for a != "" && b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if x != y {
			return len(x) > len(y) || len(x) == len(y) && x > y
		}
	}
	return a != ""
}
