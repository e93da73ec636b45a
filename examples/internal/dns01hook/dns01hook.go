// Package dns01hook is the program of that name: a hook for ACME clients, with
// its configuration.
package dns01hook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/berryrack/berryrack/acme"
	"github.com/berryrack/berryrack/acme/mythicbeasts"
	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/strictyaml"
)

// Config is dns01hook.yaml.
type Config struct {
	Provider  Provider          `yaml:"provider"`
	Aliases   map[string]string `yaml:"aliases"`
	TTL       time.Duration     `yaml:"ttl"`
	Reload    [][]string        `yaml:"reload"`
	Resolvers []string          `yaml:"resolvers"`
	Confirm   bool              `yaml:"confirm_resolvers"`
	Timeout   time.Duration     `yaml:"timeout"`
	Interval  time.Duration     `yaml:"interval"`
}

// Provider is one of its keys.
type Provider struct {
	RFC2136      *RFC2136 `yaml:"rfc2136"`
	MythicBeasts *Mythic  `yaml:"mythicbeasts"`
}

// Where the Mythic Beasts hook has its files, and the variables that move them.
const (
	mythicConfig   = "/etc/dehydrated/dnsapi.config.txt"
	mythicAliases  = "/etc/dehydrated/dnsapi.cname-map.txt"
	mythicVar      = "MYTHIC_DNS_CONFIG"
	mythicAliasVar = "MYTHIC_DNS_CNAME_MAP"
	configVar      = "DNS01HOOK_CONFIG"
	defaultState   = "/var/lib/berryrack/dns01hook"
)

// Options are the program's flags.
type Options struct {
	Config  string // file; "" is looked for
	State   string // directory
	Dialect string
	DryRun  bool
}

// Run does what one call of the program asks: args[0] is its own name.
func Run(ctx context.Context, o Options, args []string, std cli.Streams) error {
	log := slog.New(slog.NewTextHandler(std.Err, nil))
	hook, err := o.hook(log, std.Out)
	if err != nil {
		return &cli.UsageError{Err: err}
	}
	if !o.DryRun {
		return hook.Run(ctx, args, os.LookupEnv)
	}
	plan, err := hook.Plan(ctx, args, os.LookupEnv)
	if err != nil || len(plan) == 0 {
		return err
	}
	fmt.Fprintln(std.Out, strings.Join(plan, "\n"))
	return cli.ErrDifferent
}

// hook makes the hook of the configuration that there is.
func (o Options) hook(log *slog.Logger, out io.Writer) (*acme.Hook, error) {
	state := o.State
	if state == "" {
		state = defaultState
	}
	path := o.Config
	if path == "" {
		path = os.Getenv(configVar)
	}
	name, data, err := cli.ConfigFile("dns01hook", path, nil)
	if err != nil {
		return nil, err
	}
	var solver *acme.Solver
	var reload [][]string
	if data == nil {
		solver, err = fromMythicFiles()
	} else {
		solver, reload, err = fromYAML(name, data)
	}
	if err != nil {
		return nil, err
	}
	solver.Journal, solver.Logger, solver.Checker.Logger = &acme.Journal{Dir: state}, log, log
	return &acme.Hook{Solver: solver, Dialect: acme.Dialect(o.Dialect), Reload: reload, Output: out, Logger: log}, nil
}

func fromYAML(name string, data []byte) (*acme.Solver, [][]string, error) {
	var c Config
	d, err := strictyaml.Decode(name, data, &c)
	provider, problem := c.provider(d)
	if err := errors.Join(err, problem); err != nil {
		return nil, nil, err
	}
	checker := &acme.Checker{Resolvers: c.Resolvers, ConfirmResolvers: c.Confirm, Timeout: c.Timeout, Interval: c.Interval}
	return &acme.Solver{Provider: provider, Checker: checker, Aliases: c.Aliases, TTL: c.TTL}, c.Reload, nil
}

func (c Config) provider(d *strictyaml.Document) (acme.Provider, error) {
	p := c.Provider
	switch {
	case p.RFC2136 != nil && p.MythicBeasts != nil:
		return nil, d.Errorf("provider", "two providers; want one")
	case p.RFC2136 != nil:
		return p.RFC2136.Provider(d, "provider.rfc2136")
	case p.MythicBeasts != nil:
		return p.MythicBeasts.Provider(d, "provider.mythicbeasts")
	}
	return nil, d.Errorf("provider", "none given: want rfc2136 or mythicbeasts")
}

// fromMythicFiles reads the configuration of the Mythic Beasts hook.
func fromMythicFiles() (*acme.Solver, error) {
	path := envOr(mythicVar, mythicConfig)
	text, err := cli.Secret(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no configuration: write /etc/berryrack/dns01hook.yaml, or name a file with -f or $%s; %s is not there either", configVar, path)
	}
	if err != nil {
		return nil, err
	}
	credentials, err := mythicbeasts.ReadCredentials(strings.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	path = envOr(mythicAliasVar, mythicAliases)
	aliases := map[string]string{}
	f, err := os.Open(path)
	if err == nil {
		aliases, err = mythicbeasts.ReadAliases(f)
		f.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &acme.Solver{Provider: &mythicbeasts.Provider{Credentials: credentials}, Aliases: aliases, Checker: &acme.Checker{}}, nil
}

func envOr(name, value string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return value
}
