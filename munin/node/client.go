package node

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Limits bounds what a node can do to its caller.
type Limits struct {
	// Timeout is for each answer, and for connecting; 0 is 10 s.
	Timeout time.Duration
	// Line is the longest line, and Answer the longest answer, in bytes; 0 is
	// 64 KiB and 4 MiB.
	Line, Answer int
}

func (l Limits) orDefault() Limits {
	if l.Timeout == 0 {
		l.Timeout = 10 * time.Second
	}
	if l.Line == 0 {
		l.Line = 64 << 10
	}
	if l.Answer == 0 {
		l.Answer = 4 << 20
	}
	return l
}

// What a caller would tell apart.
var (
	ErrDenied      = errors.New("node: the connection ended before the banner: the node's allow lines lack this address")
	ErrTLSRequired = errors.New("node: the node requires TLS")
	ErrTooLong     = errors.New("node: the answer is longer than the limit")
	ErrNoTLS       = errors.New("node: the node does not do TLS")
	ErrProtocol    = errors.New("node: no munin node: not its protocol")
)

// Client is a connection to a node. One goroutine at a time may use it; after
// an error it can only be closed.
type Client struct {
	conn   net.Conn
	reader *bufio.Reader
	limits Limits
	name   string
	failed bool // an exchange ended in the middle
}

// Dial connects to host:port and reads the banner.
func Dial(ctx context.Context, address string, limits Limits) (*Client, error) {
	return dialFrom(ctx, address, netip.Addr{}, limits)
}

// dialFrom is Dial from a local address, if it is one.
func dialFrom(ctx context.Context, address string, local netip.Addr, limits Limits) (*Client, error) {
	limits = limits.orDefault()
	dialer := net.Dialer{Timeout: limits.Timeout}
	if local.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	c, err := NewClient(ctx, conn, limits)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// NewClient reads the banner from a connection, which the Client then owns. On
// an error it is still the caller's to close. Lines before the banner, such as
// an ssh login's, are skipped.
func NewClient(ctx context.Context, conn net.Conn, limits Limits) (*Client, error) {
	c := &Client{conn: conn, limits: limits.orDefault()}
	c.reader = bufio.NewReader(conn)
	err := c.do(ctx, "banner", func() error {
		left := c.limits.Answer
		for seen := false; ; seen = true {
			line, err := c.line(&left)
			if err != nil {
				return bannerError(err, seen)
			}
			if parts := banner.FindStringSubmatch(line); parts != nil {
				c.name = parts[1]
				return nil
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

var banner = regexp.MustCompile(`(?i)#.*(?:lrrd|munin) (?:client|node) at (\S+)`)

// bannerError tells a node that hangs up on us from what is no node.
func bannerError(err error, seen bool) error {
	var reset net.Error
	switch {
	case seen && errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrProtocol
	case errors.Is(err, ErrTooLong):
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	case errors.Is(err, io.EOF), !errors.As(err, &reset) || !reset.Timeout():
		return ErrDenied
	}
	return err
}

// Name returns the name in the banner.
func (c *Client) Name() string { return c.name }

// Close says goodbye and closes the connection.
func (c *Client) Close() error {
	_ = c.conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
	_, _ = io.WriteString(c.conn, "quit\n")
	return c.conn.Close()
}

// do runs an exchange within ctx and the limits.
func (c *Client) do(ctx context.Context, what string, exchange func() error) error {
	deadline := time.Now().Add(c.limits.Timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := c.conn.SetDeadline(deadline); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	err := exchange()
	c.failed = err != nil
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("node: %s: %w", what, context.Cause(ctx))
	case errors.Is(err, ErrDenied), errors.Is(err, ErrTLSRequired), errors.Is(err, ErrTooLong), errors.Is(err, ErrProtocol):
		return err
	}
	return fmt.Errorf("node: %s: %w", what, err)
}

// line reads a line, takes its length off what is left of an answer, and
// returns it without its end.
func (c *Client) line(left *int) (string, error) {
	var line []byte
	for {
		part, err := c.reader.ReadSlice('\n')
		*left -= len(part)
		if len(line)+len(part) > c.limits.Line || *left < 0 {
			return "", ErrTooLong
		}
		line = append(line, part...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			if errors.Is(err, io.EOF) && len(line) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
	}
	text := strings.TrimRight(string(line), "\r\n")
	if strings.HasPrefix(text, "# I require TLS") {
		return "", ErrTLSRequired
	}
	return text, nil
}

// ask sends a command, whose words no line end may be in.
func (c *Client) ask(words ...string) error {
	command := strings.Join(words, " ")
	if strings.ContainsAny(command, "\r\n") {
		return fmt.Errorf("command %q is not one line", command)
	}
	// Under TLS munin takes each record for a line: a command is one write.
	_, err := io.WriteString(c.conn, command+"\n")
	return err
}

// single is an exchange whose answer is one line.
func (c *Client) single(ctx context.Context, words ...string) (answer string, err error) {
	err = c.do(ctx, words[0], func() error {
		if err := c.ask(words...); err != nil {
			return err
		}
		left := c.limits.Answer
		answer, err = c.line(&left)
		return err
	})
	return answer, err
}

// dotted is an exchange whose answer ends in a dot on a line of its own.
func (c *Client) dotted(ctx context.Context, words ...string) (lines []string, err error) {
	err = c.do(ctx, fmt.Sprintf("%.80q", strings.Join(words, " ")), func() error {
		if err := c.ask(words...); err != nil {
			return err
		}
		left := c.limits.Answer
		for {
			line, err := c.line(&left)
			if err != nil {
				return err
			}
			if line == "." {
				return nil
			}
			if lines = append(lines, line); errInBand.MatchString(line) && strings.HasPrefix(line, "# Unknown command") {
				return nil // no dot follows
			}
		}
	})
	return lines, err
}

// Cap tells the node what the caller can do, such as "multigraph" and
// "dirtyconfig", and returns what the node can. Without "multigraph" a node
// hides its multigraph plugins.
func (c *Client) Cap(ctx context.Context, can ...string) ([]string, error) {
	answer, err := c.single(ctx, append([]string{"cap"}, can...)...)
	if err != nil {
		return nil, err
	}
	words, ok := strings.CutPrefix(answer, "cap")
	if !ok {
		return nil, nil // a node older than cap
	}
	return strings.Fields(words), nil
}

// Nodes returns the names of the hosts that the node has plugins for, sorted
// and in lower case.
func (c *Client) Nodes(ctx context.Context) ([]string, error) {
	names, err := c.dotted(ctx, "nodes")
	slices.Sort(names)
	return names, err
}

// List returns the plugins for a host; "" is the node's own, which munin-node
// does not find when its name has capitals. More than [MaxPlugins] are
// [ErrTooLong].
func (c *Client) List(ctx context.Context, host string) ([]string, error) {
	answer, err := c.single(ctx, strings.TrimSpace("list "+host))
	if strings.HasPrefix(answer, "#") {
		return nil, fmt.Errorf("%w: list: %.80q", ErrProtocol, answer)
	}
	plugins := strings.Fields(answer)
	if len(plugins) > MaxPlugins {
		return nil, fmt.Errorf("%w: list: %d plugins, and %d are the most", ErrTooLong, len(plugins), MaxPlugins)
	}
	return plugins, err
}

// MaxPlugins is the most plugins that a node can list for one host.
const MaxPlugins = 5000

// Config returns what a plugin says of its graphs, with values when both sides
// can do dirtyconfig.
func (c *Client) Config(ctx context.Context, plugin string) ([]Graph, error) {
	return c.graphs(ctx, "config", plugin)
}

// Fetch returns a plugin's values.
func (c *Client) Fetch(ctx context.Context, plugin string) ([]Graph, error) {
	return c.graphs(ctx, "fetch", plugin)
}

func (c *Client) graphs(ctx context.Context, command, plugin string) ([]Graph, error) {
	lines, err := c.dotted(ctx, command, plugin)
	if err != nil {
		return nil, err
	}
	return parseGraphs(plugin, lines)
}

// StartTLS encrypts the connection; it comes before any other command. A node
// with a certificate is the TLS server, whose name config verifies. One without
// answers TLS MAYBE, and the roles are reversed: the caller is the server, with
// config's certificate, and knows no more of the node than before. A node that
// does no TLS is [ErrNoTLS], and can be asked in plain text.
func (c *Client) StartTLS(ctx context.Context, config *tls.Config) error {
	if config == nil {
		return errors.New("node: StartTLS without a configuration")
	}
	answer, err := c.single(ctx, "STARTTLS")
	if err != nil {
		return err
	}
	var conn *tls.Conn
	switch {
	case strings.HasPrefix(strings.ToUpper(answer), "TLS MAYBE"):
		if len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil {
			return errors.New("node: TLS: the node has no certificate, and there is none here either: one side needs one")
		}
		// The node's first words of TLS may have come with its answer.
		conn = tls.Server(buffered{c.conn, c.reader}, config)
	case c.reader.Buffered() > 0:
		return fmt.Errorf("%w: plain text behind %q", ErrProtocol, answer)
	case strings.HasPrefix(answer, "TLS OK"):
		conn = tls.Client(c.conn, config)
	default:
		return fmt.Errorf("%w: %.80q", ErrNoTLS, answer)
	}
	if err := c.do(ctx, "TLS", func() error { return conn.HandshakeContext(ctx) }); err != nil {
		return err
	}
	c.conn, c.reader = conn, bufio.NewReader(conn)
	return nil
}

// buffered is a connection of which a part was read.
type buffered struct {
	net.Conn
	reader *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.reader.Read(p) }
