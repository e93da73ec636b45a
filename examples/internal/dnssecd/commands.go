package dnssecd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/keystore"
	"github.com/berryrack/berryrack/dnssec/manager"
	"github.com/berryrack/berryrack/dnssec/parent"
	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/rollover/plan"
	"github.com/berryrack/berryrack/dnssec/secondary"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/dnssec/zone"
	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/miekg/dns"
)

// orderTimeout is how long a command waits for the process that runs the zones.
const orderTimeout = 30 * time.Second

// Options are the flags that commands share.
type Options struct {
	Config string // file; "" is looked for
	State  string // directory; "" is the default
	JSON   bool
	DryRun bool
	Log    *slog.Logger
}

// manager makes a manager of a configuration, that serves nothing.
func (s *site) manager(o Options) (*manager.Manager, error) {
	m := &manager.Manager{
		Dir: cmp.Or(o.State, defaultState), Secret: s.secret, Poll: time.Duration(s.Poll), Logger: o.Log,
		Parent: &parent.Servers{Addresses: withPorts(s.Parent.Servers), Resolvers: withPorts(s.Parent.Resolvers)},
	}
	return m, m.Configure(s.zones)
}

func withPorts(addresses []string) (list []string) {
	for _, address := range addresses {
		list = append(list, withPort(address))
	}
	return list
}

// open reads the configuration and finds a zone in it.
func open(o Options, name string, std cli.Streams) (*site, *manager.Manager, wire.Name, error) {
	s, err := read(o.Config, std.Err)
	if err != nil {
		return nil, nil, "", err
	}
	origin, err := wire.ParseName(name)
	if err != nil {
		return nil, nil, "", &cli.UsageError{Err: err}
	}
	if !slices.ContainsFunc(s.zones, func(z manager.Zone) bool { return z.Origin == origin }) {
		return nil, nil, "", &cli.UsageError{Err: fmt.Errorf("zone %s is not configured: add {name: %s, file: ...} to zones in dnssecd.yaml", origin, origin)}
	}
	m, err := s.manager(o)
	return s, m, origin, err
}

// permitted adds what to do when files may not be written.
func permitted(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w; run this as the user that dnssecd runs as, or give it a directory of its own with --state", err)
	}
	return err
}

// do has an order carried out.
func do(ctx context.Context, m *manager.Manager, origin wire.Name, order manager.Order) (*manager.Status, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, orderTimeout, errors.New("it did not answer in time"))
	defer cancel()
	if err := m.Do(ctx, origin, order); err != nil {
		return nil, permitted(err)
	}
	return m.Status(origin)
}

// Enable signs a zone, and says what happens next. Keys that are in a directory
// already, such as BIND's, are taken over.
func Enable(ctx context.Context, o Options, name, keys string, std cli.Streams) error {
	_, m, origin, err := open(o, name, std)
	if err != nil {
		return err
	}
	status, err := m.Status(origin)
	if err != nil {
		return permitted(err)
	}
	if o.DryRun {
		if status.State.Signed {
			return nil
		}
		fmt.Fprintln(std.Out, strings.TrimSpace("dnssecd enable "+origin.String()+" "+flagOf("--keys", keys)))
		return cli.ErrDifferent
	}
	if keys != "" {
		if err := adopt(m, origin, keys); err != nil {
			return permitted(err)
		}
	}
	if status, err = do(ctx, m, origin, manager.Order{Signed: true}); err != nil {
		return err
	}
	if o.JSON {
		return printJSON(std.Out, report(status))
	}
	return explainEnabled(m, status, std.Out)
}

func flagOf(name, value string) string {
	if value == "" {
		return ""
	}
	return name + " " + value
}

// adopt copies keys from a directory.
func adopt(m *manager.Manager, origin wire.Name, dir string) error {
	to := m.Keys(origin)
	keys, err := keystore.Dir{Path: dir}.Keys(origin)
	if err != nil && m.Secret != nil { // they may be sealed already
		keys, err = keystore.Dir{Path: dir, Secret: m.Secret}.Keys(origin)
	}
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return fmt.Errorf("%s has no keys of %s", dir, origin)
	}
	for _, key := range keys {
		if err := to.Write(key); err != nil {
			return err
		}
	}
	return nil
}

// explainEnabled is ten lines about a zone that has just been signed.
func explainEnabled(m *manager.Manager, s *manager.Status, w io.Writer) error {
	fmt.Fprintf(w, "%s is signed, with serial %d", s.Zone, s.Serial)
	if !s.Served {
		fmt.Fprint(w, "; it is not served yet: start dnssecd run")
	}
	fmt.Fprintf(w, "\nkeys: %s\n", strings.Join(keyNames(&s.State), ", "))
	fmt.Fprint(w, "lodge with the parent:\n", dsText(s.Zone, s.DS, "    "))
	fmt.Fprintln(w, lodgeText(s))
	if len(s.Problems) > 0 {
		fmt.Fprintln(w, "problems:", strings.Join(s.Problems, "; "))
	}
	moments, err := upcoming(m, s, 4)
	if err != nil {
		return err
	}
	if len(moments) > 0 {
		fmt.Fprintln(w, "what happens next:")
	}
	for _, line := range moments {
		fmt.Fprintln(w, "   ", line)
	}
	return nil
}

// upcoming is the next moments of the zone's future, a line each.
func upcoming(m *manager.Manager, s *manager.Status, limit int) (lines []string, err error) {
	state, policy, observed, err := m.Foresee(s.Zone)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	timeline := plan.Of(state, policy, observed, rollover.ParentModel{}, now, now.AddDate(1, 0, 0))
	for _, moment := range timeline.Moments {
		for _, reason := range moment.Reasons {
			if reason.Done && moment.At.After(now) && len(lines) < limit {
				lines = append(lines, moment.At.UTC().Format("2006-01-02 15:04")+"  "+reason.Text)
				break
			}
		}
	}
	return lines, nil
}

func keyNames(state *rollover.State) (names []string) {
	for i := range state.Keys {
		names = append(names, state.Keys[i].String())
	}
	return names
}

// dsText is DS records, a line each.
func dsText(origin wire.Name, keys []dnssec.PublicKey, indent string) string {
	var b strings.Builder
	for _, key := range keys {
		set := zone.RRset{Type: wire.Type(dns.TypeDS), TTL: 86400, Data: wire.RDATA(nil).Append(key.DS(origin, dnssec.SHA256))}
		b.WriteString(indent + strings.Join(strings.Fields(string(set.AppendText(nil, origin))), " ") + "\n")
	}
	return b.String()
}

// lodgeText says when the DS set may be lodged.
func lodgeText(s *manager.Status) string {
	switch {
	case s.Lodge && len(s.DS) == 0:
		return "now: have all DS records of the zone removed from the parent"
	case s.Lodge:
		return "now: all servers have the signed zone, and no resolver has the unsigned one"
	case s.LodgeAt.After(time.Now()) && !s.Served:
		return fmt.Sprintf("not before %s, if it is served from now on", s.LodgeAt.UTC().Format("2006-01-02 15:04 MST"))
	case s.LodgeAt.After(time.Now()):
		return fmt.Sprintf("not before %s: until then resolvers may have the unsigned zone", s.LodgeAt.UTC().Format("2006-01-02 15:04 MST"))
	case inParent(s):
		return "it is there: nothing to lodge"
	}
	return "not yet: " + cmp.Or(waiting(s), "the zone has to be served by all its servers first")
}

// inParent reports whether the DS records that are wanted were seen in the parent.
func inParent(s *manager.Status) bool {
	for i := range s.State.Keys {
		if k := &s.State.Keys[i]; k.Role != rollover.ZSK && !k.Retiring {
			ds := k.Records[rollover.DS]
			if ds.State != rollover.Omnipresent && ds.State != rollover.Rumoured || ds.Seen.IsZero() {
				return false
			}
		}
	}
	return len(s.DS) > 0
}

// waiting is the first reason why a DS record is not lodged yet.
func waiting(s *manager.Status) string {
	for _, r := range s.Reasons {
		if !r.Done && r.Record == rollover.DS {
			return r.String()
		}
	}
	return ""
}

// Disable makes a zone unsigned: its DS records first.
func Disable(ctx context.Context, o Options, name string, std cli.Streams) error {
	_, m, origin, err := open(o, name, std)
	if err != nil {
		return err
	}
	status, err := m.Status(origin)
	if err != nil {
		return permitted(err)
	}
	if o.DryRun {
		if !status.State.Signed {
			return nil
		}
		fmt.Fprintln(std.Out, "dnssecd disable", origin)
		return cli.ErrDifferent
	}
	if status, err = do(ctx, m, origin, manager.Order{Unsigned: true}); err != nil {
		return err
	}
	if o.JSON {
		return printJSON(std.Out, report(status))
	}
	if !status.State.DeleteDS {
		fmt.Fprintf(std.Out, "%s goes unsigned: it has no DS records in the parent\n", origin)
		return nil
	}
	fmt.Fprintf(std.Out, "%s stays signed until its DS records are gone from the parent, and from all caches\n%s\n", origin, lodgeText(status))
	return nil
}

// Roll starts a rollover.
func Roll(ctx context.Context, o Options, role, name string, algorithm uint8, emergency bool, std cli.Streams) error {
	_, m, origin, err := open(o, name, std)
	if err != nil {
		return err
	}
	status, err := m.Status(origin)
	if err != nil {
		return permitted(err)
	}
	order, err := rollOrder(status, role, dnssec.Algorithm(algorithm), emergency)
	if err != nil {
		return &cli.UsageError{Err: err}
	}
	if o.DryRun {
		step := "dnssecd roll " + role + " " + origin.String()
		if algorithm != 0 {
			step += fmt.Sprintf(" --alg %d", algorithm)
		}
		if emergency {
			step += " --emergency"
		}
		fmt.Fprintln(std.Out, step)
		return cli.ErrDifferent
	}
	if status, err = do(ctx, m, origin, order); err != nil {
		return err
	}
	if o.JSON {
		return printJSON(std.Out, report(status))
	}
	fmt.Fprintf(std.Out, "%s: %s\n", origin, strings.Join(keyNames(&status.State), ", "))
	lines, err := upcoming(m, status, 5)
	for _, line := range lines {
		fmt.Fprintln(std.Out, "   ", line)
	}
	return err
}

// rollOrder checks that there is a key to roll over.
func rollOrder(s *manager.Status, role string, algorithm dnssec.Algorithm, emergency bool) (manager.Order, error) {
	var order manager.Order
	if algorithm != 0 && !supported(algorithm) {
		return order, fmt.Errorf("algorithm %d is none of 8, 13, 14 and 15", algorithm)
	}
	var r rollover.Role
	if err := r.UnmarshalText([]byte(strings.ToUpper(role))); err != nil || r == 0 {
		return order, fmt.Errorf("%q is none of ksk, zsk and csk", role)
	}
	var there []string
	for i := range s.State.Keys {
		k := &s.State.Keys[i]
		if k.Retiring {
			continue
		}
		if there = append(there, k.String()); k.Role != r {
			continue
		}
		kind := rollover.Event{Kind: rollover.Roll, Role: r}
		if emergency {
			kind = rollover.Event{Kind: rollover.Emergency, Key: k.ID}
		}
		if order.Algorithm = algorithm; emergency || algorithm == 0 || algorithm == k.Public.Algorithm {
			order.Events = []rollover.Event{kind}
		}
		return order, nil
	}
	if len(there) == 0 {
		return order, fmt.Errorf("%s has no keys: dnssecd enable %s", s.Zone, s.Zone)
	}
	return order, fmt.Errorf("%s has no %s: it has %s", s.Zone, r, strings.Join(there, ", "))
}

// DS prints the DS set, and whether it may be lodged.
func DS(o Options, name string, std cli.Streams) error {
	_, m, origin, err := open(o, name, std)
	if err != nil {
		return err
	}
	s, err := m.Status(origin)
	if err != nil {
		return permitted(err)
	}
	if len(s.DS) == 0 && !s.Lodge {
		return fmt.Errorf("%s is not signed: dnssecd enable %s", origin, origin)
	}
	if o.JSON {
		if err := printJSON(std.Out, report(s)); err != nil {
			return err
		}
	} else {
		fmt.Fprint(std.Out, dsText(origin, s.DS, ""))
		fmt.Fprintln(std.Err, "dnssecd:", lodgeText(s))
	}
	if s.Lodge || inParent(s) {
		return nil
	}
	return cli.ErrDifferent
}

// Plan prints the future of a zone's keys, or of all zones.
func Plan(o Options, name string, years int, svg string, std cli.Streams) error {
	s, err := read(o.Config, std.Err)
	if err != nil {
		return err
	}
	m, err := s.manager(o)
	if err != nil {
		return err
	}
	origins := []wire.Name{}
	for _, z := range s.zones {
		origins = append(origins, z.Origin)
	}
	if name != "" {
		if _, _, origin, err := open(o, name, cli.Streams{Out: io.Discard, Err: io.Discard}); err != nil {
			return err
		} else {
			origins = []wire.Name{origin}
		}
	}
	if svg != "" && len(origins) != 1 {
		return &cli.UsageError{Err: errors.New("--svg draws one zone: name it")}
	}
	now := time.Now()
	var timelines []*plan.Timeline
	for _, origin := range origins {
		state, policy, observed, err := m.Foresee(origin)
		if err != nil {
			return permitted(err)
		}
		timelines = append(timelines, plan.Of(state, policy, observed, rollover.ParentModel{}, now, now.AddDate(years, 0, 0)))
	}
	return printPlan(timelines, svg, o.JSON, std.Out)
}

func printPlan(timelines []*plan.Timeline, svg string, asJSON bool, w io.Writer) error {
	if svg != "" {
		f, err := os.Create(svg)
		if err != nil {
			return err
		}
		if err := errors.Join(timelines[0].WriteSVG(f), f.Close()); err != nil {
			return err
		}
	}
	if asJSON {
		return printJSON(w, append([]*plan.Timeline{}, timelines...))
	}
	for i := range timelines {
		if err := timelines[i].WriteText(w); err != nil {
			return err
		}
	}
	return nil
}

// SecondaryConfig prints the configuration of a secondary server.
func SecondaryConfig(o Options, server, primary string, std cli.Streams) error {
	s, err := read(o.Config, std.Err)
	if err != nil {
		return err
	}
	c, err := s.secondary(primary)
	if err != nil {
		return &cli.UsageError{Err: err}
	}
	write := map[string]func() (string, error){"knot": c.Knot, "nsd": c.NSD, "bind": c.BIND}[server]
	text, err := write()
	if err != nil {
		return &cli.UsageError{Err: err}
	}
	fmt.Fprint(std.Out, text)
	return nil
}

func (s *site) secondary(primary string) (c secondary.Config, err error) {
	primary = withPort(cmp.Or(primary, s.Listen[0]))
	if c.Primary, err = netip.ParseAddrPort(primary); err != nil {
		return c, fmt.Errorf("--primary: %w", err)
	}
	used := map[string]bool{}
	for _, z := range s.zones {
		if len(z.Transfer) == 0 {
			continue
		}
		key := dns.CanonicalName(z.Transfer[0])
		used[key] = true
		c.Zones = append(c.Zones, secondary.Zone{Origin: z.Origin, Key: key})
	}
	if len(c.Zones) == 0 {
		return c, errors.New("no zone may be transferred: name a key of tsig in allow_transfer of a zone")
	}
	for _, key := range s.keys {
		if used[key.Name] {
			c.Keys = append(c.Keys, key)
		}
	}
	return c, nil
}

func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
