package node

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Server is a munin node whose plugins are functions of this program. Its
// fields may not change while it serves.
type Server struct {
	// Name is what the node calls itself; the master's name of the host, or the
	// master has use_node_name. It is required.
	Name    string
	Plugins []Plugin // in the order in which list names them
	// Allow lists who may connect; empty is everyone who can reach the listener.
	Allow []netip.Prefix
	// TLS answers STARTTLS: with a certificate as the TLS server, without one in
	// reversed roles as the client. nil does no TLS.
	TLS *tls.Config
	// RequireTLS refuses all other commands in plain text.
	RequireTLS bool
	// MaxConns is how many masters are served at once; 0 is 64. Others wait.
	MaxConns int
	// IdleTimeout closes a connection without a command for that long, or that
	// does not read its answer; 0 is 2 minutes.
	IdleTimeout time.Duration
	// Logger is nil to be silent.
	Logger *slog.Logger
}

// Plugin is one plugin of a [Server].
type Plugin struct {
	// Name is what list shows: letters, digits and _ - . :
	Name string
	// Host is the host that the figures are of; "" is the server itself.
	Host string
	// Multigraph says that there is more than one graph, or one of another
	// name: a master that cannot do multigraph does not see the plugin.
	Multigraph bool
	// Graphs returns the graphs with their present values. Masters call it at
	// the same time; ctx ends with the connection.
	Graphs func(ctx context.Context) ([]Graph, error)
}

// maxCommand is the longest command in bytes.
const maxCommand = 1024

// Serve answers on a listener, which it closes, until ctx ends; then it returns
// nil when all connections have ended. It returns the listener's error, or what
// is wrong with the Server.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	defer listener.Close()
	if err := s.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var sessions sync.WaitGroup
	defer sessions.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	free := make(chan struct{}, orDefault(s.MaxConns, 64))
	for {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if err != nil {
			var temporary interface{ Temporary() bool }
			if <-free; errors.As(err, &temporary) && temporary.Temporary() && pause(ctx, 50*time.Millisecond) {
				continue
			}
			return fmt.Errorf("node: %w", err)
		}
		sessions.Go(func() {
			defer func() { <-free }()
			s.session(ctx, conn)
		})
	}
}

// pause waits, and reports whether ctx lets it go on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func orDefault[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

func (s *Server) check() error {
	var errs []error
	if !hostName.MatchString(s.Name) {
		errs = append(errs, fmt.Errorf("node: server name %q: a name has letters, digits, hyphens and dots", s.Name))
	}
	if s.RequireTLS && s.TLS == nil {
		errs = append(errs, errors.New("node: RequireTLS without TLS"))
	}
	seen := map[string]bool{}
	for _, p := range s.Plugins {
		errs = append(errs, checkGraphName(p.Name))
		if p.Host != "" && !hostName.MatchString(p.Host) {
			errs = append(errs, fmt.Errorf("node: plugin %s: host %q: a name has letters, digits, hyphens and dots", p.Name, p.Host))
		}
		if seen[p.Name] {
			errs = append(errs, fmt.Errorf("node: plugin %s is there twice", p.Name))
		}
		if seen[p.Name] = true; p.Graphs == nil {
			errs = append(errs, fmt.Errorf("node: plugin %s has no Graphs", p.Name))
		}
	}
	return errors.Join(errs...)
}

func (s *Server) logger() *slog.Logger {
	if s.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Logger
}

func (s *Server) allows(peer net.Addr) bool {
	if len(s.Allow) == 0 {
		return true
	}
	address, err := netip.ParseAddrPort(peer.String())
	if err != nil {
		return false
	}
	ip := address.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(s.Allow, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// session is one connection.
type session struct {
	*Server
	conn              net.Conn
	reader            *bufio.Reader
	multigraph, dirty bool
	encrypted         bool
}

func (s *Server) session(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	log := s.logger().With("peer", conn.RemoteAddr().String())
	if !s.allows(conn.RemoteAddr()) {
		log.Warn("denied")
		return
	}
	se := &session{Server: s, conn: conn, reader: bufio.NewReaderSize(conn, maxCommand)}
	if err := se.run(ctx, log); err != nil && ctx.Err() == nil && !errors.Is(err, io.EOF) {
		log.Warn("session ended", "error", err)
	}
}

func (se *session) run(ctx context.Context, log *slog.Logger) error {
	if err := se.send("# munin node at " + se.Name); err != nil {
		return err
	}
	for {
		if err := se.conn.SetDeadline(time.Now().Add(orDefault(se.IdleTimeout, 2*time.Minute))); err != nil {
			return err
		}
		line, err := se.reader.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("a command of more than %d bytes", maxCommand)
		}
		if err != nil {
			return err
		}
		command, argument, _ := strings.Cut(strings.TrimRight(string(line), "\r\n"), " ")
		goOn, err := se.command(ctx, log, strings.ToLower(command), strings.TrimSpace(argument))
		if err != nil || !goOn {
			return err
		}
	}
}

// send writes lines, each by itself: under TLS munin takes a record for a line.
func (se *session) send(lines ...string) error {
	if !se.encrypted {
		_, err := io.WriteString(se.conn, strings.Join(lines, "\n")+"\n")
		return err
	}
	for _, line := range lines {
		if _, err := io.WriteString(se.conn, line+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// command answers one, and reports whether the session goes on.
func (se *session) command(ctx context.Context, log *slog.Logger, command, argument string) (bool, error) {
	if se.RequireTLS && !se.encrypted && command != "starttls" {
		return false, se.send("# I require TLS. Closing.")
	}
	switch command {
	case "quit", ".":
		return false, nil
	case "cap":
		can := strings.Fields(argument)
		se.multigraph, se.dirty = slices.Contains(can, "multigraph"), slices.Contains(can, "dirtyconfig")
		return true, se.send("cap multigraph dirtyconfig")
	case "list":
		return true, se.send(se.list(argument))
	case "nodes":
		return true, se.send(append(se.hosts(), ".")...)
	case "version":
		return true, se.send("munins node on " + se.Name + " version: berryrack")
	case "config", "fetch":
		return true, se.send(append(se.answer(ctx, log, command, argument), ".")...)
	case "starttls":
		if se.TLS != nil && !se.encrypted {
			return true, se.startTLS(ctx)
		}
	}
	return true, se.send("# Unknown command. Try cap, list, nodes, config, fetch, version or quit")
}

func (se *session) hostOf(p Plugin) string { return strings.ToLower(orDefault(p.Host, se.Name)) }

func (se *session) hosts() []string {
	hosts := []string{strings.ToLower(se.Name)}
	for _, p := range se.Plugins {
		hosts = append(hosts, se.hostOf(p))
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

func (se *session) list(host string) string {
	host = strings.ToLower(orDefault(host, se.Name))
	var names []string
	for _, p := range se.Plugins {
		if se.hostOf(p) == host && (se.multigraph || !p.Multigraph) {
			names = append(names, p.Name)
		}
	}
	return strings.Join(names, " ")
}

// answer returns the lines for config or fetch, or munin's word for a failure.
func (se *session) answer(ctx context.Context, log *slog.Logger, command, name string) []string {
	i := slices.IndexFunc(se.Plugins, func(p Plugin) bool { return p.Name == name })
	if i < 0 {
		return []string{"# Unknown service"}
	}
	graphs, err := se.Plugins[i].Graphs(ctx)
	for j := range graphs {
		err = errors.Join(err, graphs[j].check())
	}
	if err != nil {
		log.Error("plugin failed", "plugin", name, "error", err)
		return []string{"# Bad exit"}
	}
	if command == "config" {
		return configLines(name, graphs, se.dirty)
	}
	return fetchLines(name, graphs)
}

func (se *session) startTLS(ctx context.Context) error {
	if se.reader.Buffered() > 0 {
		return errors.New("plain text behind STARTTLS")
	}
	config := se.TLS
	server := len(config.Certificates) > 0 || config.GetCertificate != nil || config.GetConfigForClient != nil
	answer := "TLS MAYBE"
	if server {
		answer = "TLS OK"
	}
	if err := se.send(answer); err != nil {
		return err
	}
	conn := tls.Server(se.conn, config)
	if !server {
		// In reversed roles we speak next, but munin reads the answer through a
		// buffer that it then forgets: what comes in the same read is lost to TLS.
		if !pause(ctx, 200*time.Millisecond) {
			return ctx.Err()
		}
		conn = tls.Client(se.conn, config)
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	se.conn, se.reader, se.encrypted = conn, bufio.NewReaderSize(conn, maxCommand), true
	return nil
}
