package muninconf

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/munin"
	"github.com/berryrack/berryrack/munin/includedir"
	"github.com/berryrack/berryrack/munin/node"
)

// Program is what every command has.
type Program struct {
	// File is the inventory's path; "" is as cli.ConfigFile has it.
	File string
	JSON bool
	cli.Streams
}

func (p *Program) inventory() (*Inventory, *munin.Master, error) {
	name, text, err := cli.ConfigFile("muninconf", p.File, defaultInventory)
	if err != nil {
		return nil, nil, err
	}
	if p.File == "" {
		fmt.Fprintf(p.Err, "muninconf: reading %s\n", name)
	}
	return parse(name, text)
}

// targets are those of the inventory, which is not the embedded example: its
// hosts are nobody's.
func (p *Program) targets() ([]node.Target, error) {
	if name, _, err := cli.ConfigFile("muninconf", p.File, nil); err == nil && strings.HasPrefix(name, "embedded ") {
		return nil, &cli.UsageError{Err: errors.New("no inventory: give one with -f, or put it at /etc/berryrack/muninconf.yaml")}
	}
	_, m, err := p.inventory()
	if err != nil {
		return nil, err
	}
	return targets(m)
}

func parse(name string, text []byte) (*Inventory, *munin.Master, error) {
	inventory, m, err := Parse(name, text)
	if err != nil {
		return nil, nil, &cli.UsageError{Err: err}
	}
	return inventory, m, nil
}

// Gen writes the whole configuration to stdout, or, with a directory, its
// fragments there.
func (p *Program) Gen(ctx context.Context, dir includedir.Dir, dryRun bool) error {
	_, m, err := p.inventory()
	if err != nil {
		return err
	}
	if dir.Path == "" {
		text, err := m.AppendText(nil)
		if err != nil {
			return &cli.UsageError{Err: err}
		}
		_, err = p.Out.Write(text)
		return err
	}
	plan, err := dir.Plan(m)
	if errors.Is(err, includedir.ErrPrefix) {
		return &cli.UsageError{Err: err}
	}
	if err != nil {
		return limitHint(err)
	}
	for _, warning := range plan.Warnings {
		fmt.Fprintln(p.Err, "warning:", warning)
	}
	if err := p.steps(plan); err != nil {
		return err
	}
	if dryRun && len(plan.Steps) > 0 {
		return cli.ErrDifferent
	}
	if dryRun {
		return nil
	}
	return plan.Apply(ctx)
}

// limitHint says which flag raises the limit.
func limitHint(err error) error {
	var removal *includedir.RemovalError
	if errors.As(err, &removal) && !removal.Empty {
		return fmt.Errorf("%w\nif that is meant, say so: --max-remove %d", err, len(removal.Hosts))
	}
	return err
}

func (p *Program) steps(plan *includedir.Plan) error {
	if p.JSON {
		type step struct {
			Path    string         `json:"path"`
			Remove  bool           `json:"remove"`
			Changes []munin.Change `json:"changes"`
		}
		steps := []step{}
		for _, s := range plan.Steps {
			steps = append(steps, step{s.Path, s.Content == nil, s.Changes})
		}
		return p.json(steps)
	}
	for _, s := range plan.Steps {
		fmt.Fprintln(p.Out, s)
		for _, change := range s.Changes {
			fmt.Fprintln(p.Out, "  #", change)
		}
	}
	return nil
}

func (p *Program) json(v any) error {
	encoder := json.NewEncoder(p.Out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// Node prints the allow lines for the masters, or a munin-node.conf with them.
func (p *Program) Node(masters []netip.Addr, merge string) error {
	if len(masters) == 0 {
		inventory, _, err := p.inventory()
		if err != nil {
			return err
		}
		masters = inventory.Addresses()
	}
	if len(masters) == 0 {
		return &cli.UsageError{Err: node.ErrNoAllow}
	}
	if merge != "" {
		return p.merge(masters, merge)
	}
	var lines []string
	var errs []error
	for _, ip := range masters {
		line, err := node.AllowLine(ip)
		errs = append(errs, err)
		lines = append(lines, line+"\n")
	}
	if err := errors.Join(errs...); err != nil {
		return &cli.UsageError{Err: err}
	}
	_, err := io.WriteString(p.Out, strings.Join(lines, ""))
	return err
}

func (p *Program) merge(masters []netip.Addr, path string) error {
	text, err := readFile(path)
	if err != nil {
		return err
	}
	merged, err := node.Conf{Masters: masters}.Merge(text)
	if err != nil {
		return &cli.UsageError{Err: named(err, path)}
	}
	_, err = p.Out.Write(merged)
	return err
}

// named puts the real path for the file's usual name.
func named(err error, path string) error {
	return errors.New(strings.ReplaceAll(err.Error(), "munin-node.conf:", path+":"))
}

// Check says what munin would not take, or take otherwise than meant.
func (p *Program) Check(path string) error {
	problems, err := check(path)
	if err != nil {
		return err
	}
	if p.JSON {
		err = p.json(problems)
	}
	for _, problem := range problems {
		if !p.JSON {
			fmt.Fprintln(p.Out, problem)
		}
	}
	if err == nil && len(problems) > 0 {
		err = cli.ErrDifferent
	}
	return err
}

func check(path string) ([]string, error) {
	problems := []string{}
	text, err := nodeConf(path)
	if err != nil {
		return nil, err
	}
	if text != nil {
		if err := node.CheckConf(text); err != nil {
			problems = strings.Split(named(err, path).Error(), "\n")
		}
		return problems, nil
	}
	files, warnings, err := includedir.Load(path)
	if err != nil {
		return nil, err
	}
	problems = append(problems, warnings...)
	if _, err := munin.Decode(files...); err != nil {
		problems = append(problems, strings.Split(err.Error(), "\n")...)
	}
	return problems, nil
}

// nodeConf returns a munin-node.conf, known by its name or by settings that the
// master has not; nil is something else.
func nodeConf(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		return nil, err
	}
	text, err := readFile(path)
	if err != nil || filepath.Base(path) != "munin-node.conf" && !nodeSetting.Match(text) {
		return nil, err
	}
	return text, nil
}

var nodeSetting = regexp.MustCompile(`(?m)^[ \t]*(allow|deny|cidr_allow|cidr_deny|ignore_file|pid_file|log_file|setsid|background)[ \t=]`)

// readFile reads a regular file: a pipe could let us wait for ever.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	return os.ReadFile(path)
}

// Diff prints what leads from one configuration to another. Each is a munin.conf,
// an includedir or an inventory.
func (p *Program) Diff(from, to string) error {
	before, err := read(from)
	if err != nil {
		return err
	}
	after, err := read(to)
	if err != nil {
		return err
	}
	changes := munin.Diff(before, after)
	if p.JSON {
		if changes == nil {
			changes = []munin.Change{}
		}
		err = p.json(changes)
	}
	for _, change := range changes {
		if !p.JSON {
			fmt.Fprintln(p.Out, change)
		}
	}
	if err == nil && len(changes) > 0 {
		err = cli.ErrDifferent
	}
	return err
}

func read(path string) (*munin.Master, error) {
	if extension := filepath.Ext(path); extension == ".yaml" || extension == ".yml" {
		text, err := readFile(path)
		if err != nil {
			return nil, err
		}
		_, m, err := parse(path, text)
		return m, err
	}
	files, _, err := includedir.Load(path)
	if err != nil {
		return nil, err
	}
	m, err := munin.Decode(files...)
	if err != nil {
		return nil, &cli.UsageError{Err: fmt.Errorf("%s is not valid: %w", path, err)}
	}
	return m, nil
}

// targets are the hosts that munin-update connects to over the network.
func targets(m *munin.Master) ([]node.Target, error) {
	m, err := whole(m)
	if err != nil {
		return nil, err
	}
	var list []node.Target
	var errs []error
	known := keys{}
	for i := range m.Hosts {
		h := &m.Hosts[i]
		name, port, ok := h.Endpoint()
		if !ok || h.NoUpdate {
			continue
		}
		config, optional, err := known.config(h.TLS, m.TLS)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", h.FullName(), err))
		}
		list = append(list, node.Target{Group: h.Group, Name: h.Name, Address: net.JoinHostPort(name, port), UseNodeName: h.UseNodeName,
			LocalAddress: h.LocalAddress, TLS: config, TLSOptional: optional})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, &cli.UsageError{Err: err}
	}
	return list, nil
}

// whole is m as munin reads it: what stands in Settings is in the fields too.
func whole(m *munin.Master) (*munin.Master, error) {
	text, err := m.AppendText(nil)
	if err != nil {
		return nil, &cli.UsageError{Err: err}
	}
	f, err := munin.Parse("inventory", bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	return munin.Decode(f)
}

// ProbeOptions are the flags of probe.
type ProbeOptions struct {
	Parallel, Processes int
	Timeout             time.Duration
	Collect             bool
}

func (o ProbeOptions) check() error {
	var errs []error
	if o.Parallel < 1 {
		errs = append(errs, fmt.Errorf("--parallel %d: ask at least one node at once", o.Parallel))
	}
	if o.Processes < 1 {
		errs = append(errs, fmt.Errorf("--processes %d: the master has at least one", o.Processes))
	}
	if o.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("--timeout %v: give the nodes some time", o.Timeout))
	}
	if err := errors.Join(errs...); err != nil {
		return &cli.UsageError{Err: err}
	}
	return nil
}

// report is one host's line of probe --json.
type report struct {
	Host    string       `json:"host"`
	Address string       `json:"address"`
	Verdict node.Verdict `json:"verdict"`
	Plugins int          `json:"plugins"`
	Seconds float64      `json:"seconds"`
	Error   string       `json:"error,omitempty"`
}

// Probe prints a verdict on each host and an estimate for all, and fails when
// the master could not collect from one.
func (p *Program) Probe(ctx context.Context, options ProbeOptions) error {
	if err := options.check(); err != nil {
		return err
	}
	list, err := p.targets()
	if err != nil {
		return err
	}
	prober := node.Prober{Parallel: options.Parallel, Collect: options.Collect, Limits: node.Limits{Timeout: options.Timeout}}
	reports, err := prober.Probe(ctx, list)
	if err != nil {
		return err
	}
	failed := 0
	for _, r := range reports {
		if r.Err != nil {
			failed++
		}
		if err := p.report(r); err != nil {
			return err
		}
	}
	estimate := node.EstimateRound(reports, options.Processes)
	fmt.Fprintf(p.Err, "%d of %d hosts can be collected from; a round takes the master at least %.1f s of its %.0f s, the longest host %.1f s\n",
		len(reports)-failed, len(reports), estimate.Total.Seconds(), node.Round.Seconds(), estimate.Longest.Seconds())
	switch {
	case failed > 0:
		return fmt.Errorf("%d hosts cannot be collected from", failed)
	case !estimate.Fits:
		return errors.New("the master will not manage all hosts in 5 minutes: raise max_processes, or share the hosts among masters")
	}
	return nil
}

func (p *Program) report(r node.Report) error {
	out := report{r.Target.Group + ";" + r.Target.Name, r.Target.Address, r.Verdict, r.Plugins, r.Took.Seconds(), ""}
	if r.Err != nil {
		out.Error = r.Err.Error()
	}
	if p.JSON {
		return json.NewEncoder(p.Out).Encode(out)
	}
	_, err := fmt.Fprintf(p.Out, "%-13s %-40s %-30s %3d plugins %8.3f s", out.Verdict, out.Host, out.Address, out.Plugins, out.Seconds)
	if out.Error != "" && err == nil {
		_, err = fmt.Fprint(p.Out, "  ", printable(out.Error))
	}
	if err == nil {
		_, err = fmt.Fprintln(p.Out)
	}
	return err
}

// printable quotes what would break a line or a terminal.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
