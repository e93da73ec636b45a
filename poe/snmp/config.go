package snmp

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/gosnmp/gosnmp"

	"github.com/berryrack/berryrack/poe"
)

// DefaultTimeout is what a zero [Config.Timeout] means. Switches have been seen
// to take seconds for a SET.
const DefaultTimeout = 10 * time.Second

// defaultPort is SNMP's (RFC 3417 section 3.2).
const defaultPort = 161

// minPassphrase is the least length of a passphrase (RFC 3414 section 11.2).
const minPassphrase = 8

// Version is an SNMP version. The zero value is v3.
type Version int

const (
	V3  Version = 0 // users and passphrases (RFC 3414)
	V2c Version = 2 // a community, in clear (RFC 1901)
)

// Secret is a passphrase or a community. It prints as three asterisks.
type Secret string

func (Secret) String() string { return "***" }

// GoString keeps the secret out of %#v.
func (Secret) GoString() string { return "***" }

// MarshalText keeps the secret out of encodings.
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }

// LogValue keeps the secret out of logs.
func (Secret) LogValue() slog.Value { return slog.StringValue("***") }

// Config is how to reach a switch.
type Config struct {
	Address string  // host or host:port; port 161 when none is given
	Version Version // zero is v3

	// User, Auth and Priv are a v3 user and its two passphrases, of at least 8
	// characters each.
	User       string
	Auth, Priv Secret

	// AuthProtocol is sha256 when empty, or sha, sha224, sha384, sha512 or md5
	// for what a switch has.
	AuthProtocol string

	// PrivProtocol is aes (128 bits) when empty, or aes192, aes256 or des.
	PrivProtocol string

	// Community is v2c's, and must be empty for v3.
	Community Secret

	// Timeout is how long the switch may take for an answer. A question is
	// asked up to three times within it, a SET sent once. Zero means
	// [DefaultTimeout].
	Timeout time.Duration

	// BridgePorts says which bridge port (dot1dBasePort) a PSE port is, for
	// the learnt addresses. A port that is not among them has the number of
	// its place in group 1, as most switches count; those of other groups
	// then have none.
	BridgePorts map[poe.PortID]int
}

var authProtocols = map[string]gosnmp.SnmpV3AuthProtocol{
	"": gosnmp.SHA256, "sha256": gosnmp.SHA256, "sha": gosnmp.SHA, "sha224": gosnmp.SHA224,
	"sha384": gosnmp.SHA384, "sha512": gosnmp.SHA512, "md5": gosnmp.MD5,
}

var privProtocols = map[string]gosnmp.SnmpV3PrivProtocol{
	"": gosnmp.AES, "aes": gosnmp.AES, "aes192": gosnmp.AES192, "aes256": gosnmp.AES256, "des": gosnmp.DES,
}

// Validate returns what is wrong with the configuration, all at once.
func (c Config) Validate() error {
	var problems []error
	wrong := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("poe/snmp: "+format, args...))
	}
	if _, _, err := c.hostPort(); err != nil {
		problems = append(problems, err)
	}
	switch c.Version {
	case V3:
		c.validateV3(wrong)
	case V2c:
		if c.Community == "" {
			wrong("v2c needs a community")
		}
		if c.User != "" || c.Auth != "" || c.Priv != "" {
			wrong("v2c has no users: leave the user out, or ask for version 3")
		}
	default:
		wrong("version %d: want 3 or 2", c.Version)
	}
	return errors.Join(problems...)
}

func (c Config) validateV3(wrong func(string, ...any)) {
	if c.User == "" {
		wrong("v3 needs a user")
	}
	if len(c.Auth) < minPassphrase || len(c.Priv) < minPassphrase {
		wrong("v3 needs passphrases for authentication and privacy, of at least %d characters (RFC 3414 section 11.2)", minPassphrase)
	}
	if c.Community != "" {
		wrong("a community is v2c's: ask for version 2, or leave it out")
	}
	if _, ok := authProtocols[c.AuthProtocol]; !ok {
		wrong("authentication protocol %q: want sha256, sha, sha224, sha384, sha512 or md5", c.AuthProtocol)
	}
	if _, ok := privProtocols[c.PrivProtocol]; !ok {
		wrong("privacy protocol %q: want aes, aes192, aes256 or des", c.PrivProtocol)
	}
}

func (c Config) hostPort() (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(c.Address)
	if err != nil {
		host, text = c.Address, strconv.Itoa(defaultPort)
		if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
			host = host[1 : n-1]
		}
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if host == "" || err != nil || n == 0 {
		return "", 0, fmt.Errorf("poe/snmp: address %q: want host or host:port", c.Address)
	}
	return host, uint16(n), nil
}

// client returns the protocol's side of the configuration.
func (c Config) client() (*gosnmp.GoSNMP, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	host, port, _ := c.hostPort()
	g := &gosnmp.GoSNMP{Target: host, Port: port, Transport: "udp", MaxOids: gosnmp.MaxOids, Version: gosnmp.Version2c, Community: string(c.Community)}
	if c.Version == V3 {
		g.Version, g.SecurityModel, g.MsgFlags = gosnmp.Version3, gosnmp.UserSecurityModel, gosnmp.AuthPriv
		g.SecurityParameters = &gosnmp.UsmSecurityParameters{
			UserName:                 c.User,
			AuthenticationProtocol:   authProtocols[c.AuthProtocol],
			AuthenticationPassphrase: string(c.Auth),
			PrivacyProtocol:          privProtocols[c.PrivProtocol],
			PrivacyPassphrase:        string(c.Priv),
		}
	}
	return g, nil
}
