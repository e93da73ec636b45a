package failover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/berryrack/berryrack/examples/internal/cli"
)

// Turn is a flip or a flip-back.
type Turn struct {
	Back   bool
	DryRun bool
	Force  bool // whatever the TTLs and the services say
	JSON   bool
}

func (t Turn) direction() string {
	if t.Back {
		return flipBack
	}
	return flip
}

// Outcome is what a flip did.
type Outcome struct {
	Direction string    `json:"direction"`
	Steps     []string  `json:"steps"` // for nsupdate
	Arrivals  []Arrival `json:"arrivals,omitempty"`
	Answers   []Answer  `json:"answers"` // of the checks before it, and of the services after it
}

// Arrival is when a server had all addresses.
type Arrival struct {
	Server string  `json:"server"`
	After  Seconds `json:"after_seconds"`
}

// Flip moves the addresses of the site to the standby, or back.
func (s *Site) Flip(ctx context.Context, t Turn, std cli.Streams) error {
	if s.zone == "" {
		return &cli.UsageError{Err: errors.New("dns.zone and dns.names are not configured: there is nothing to flip")}
	}
	if s.setter == nil && !t.DryRun {
		return &cli.UsageError{Err: errors.New("dns.provider is not configured: want rfc2136 or mythicbeasts")}
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if t.JSON {
		text := std
		text.Out = std.Err
		outcome, err := s.flip(ctx, t, text)
		encoder := json.NewEncoder(std.Out)
		encoder.SetIndent("", "  ")
		return errors.Join(err, encoder.Encode(outcome))
	}
	_, err = s.flip(ctx, t, std)
	return err
}

func (s *Site) flip(ctx context.Context, t Turn, std cli.Streams) (*Outcome, error) {
	outcome := &Outcome{Direction: t.direction(), Steps: []string{}}
	before := &Journal{}
	if err := s.restore("journal.json", before); err != nil {
		return outcome, err
	}
	s.adopt(before)
	safe, all, err := s.checkTTL(ctx)
	if err != nil {
		return outcome, err
	}
	next, err := s.plan(t.direction(), before, all)
	if err != nil {
		return outcome, err
	}
	todo := next.todo(all)
	if before.away() && !before.Done() {
		todo = s.names // the provider may have been told what it has not yet published
	}
	outcome.Steps = next.steps(todo)
	if len(todo) == 0 {
		fmt.Fprintf(std.Out, "nothing to do: all servers give the addresses already\n")
		return outcome, nil
	}
	// After a flip, old caches hold what a flip-back leads to.
	if !t.Back || !before.away() {
		outcome.Answers = []Answer{safe}
	}
	if err := s.guard(ctx, t, outcome, std); err != nil && !t.DryRun {
		return outcome, err
	}
	fmt.Fprintln(std.Out, strings.Join(outcome.Steps, "\n"))
	if t.DryRun {
		return outcome, cli.ErrDifferent
	}
	if err := s.apply(ctx, next, todo); err != nil {
		return outcome, err
	}
	return outcome, s.arrive(ctx, t, next, all, outcome, std)
}

// adopt takes up names that were flipped and are no longer configured.
func (s *Site) adopt(before *Journal) {
	for _, m := range before.Names {
		if before.away() && !slices.Contains(s.names, m.Name) {
			s.names = append(s.names, m.Name)
		}
	}
}

// wanted returns what a move gives the name in a direction.
func (m Move) wanted(direction string) Addresses {
	if direction == flipBack {
		return m.Before
	}
	return m.After
}

// plan makes the journal of a flip. What was there before the first flip is kept
// from the journal of that, until a flip-back has ended.
func (s *Site) plan(direction string, before *Journal, all []seen) (*Journal, error) {
	j := &Journal{Direction: direction, Started: s.now()}
	var errs []error
	for _, name := range s.names {
		m := Move{Name: name, After: Addresses{sortAddrs(s.Standby), Seconds(s.DNS.TTL)}}
		known := before.move(name)
		switch {
		case before.away() && known != nil:
			m.Before = known.Before
		case direction == flipBack:
			m.Before = Addresses{sortAddrs(s.Primary), Seconds(s.DNS.TTL)}
		default:
			now, err := agreed(name, all)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			m.Before = Addresses{now.addresses(), Seconds(now.ttl())}
		}
		j.Names = append(j.Names, m)
	}
	return j, errors.Join(errs...)
}

// agreed returns the addresses that all servers give for a name.
func agreed(name string, all []seen) (records, error) {
	var first *seen
	for i, one := range all {
		switch {
		case one.err != nil:
		case first == nil:
			first = &all[i]
		case !one.names[name].has(first.names[name].addresses()):
			return nil, fmt.Errorf("%s: %s gives %v, but %s gives %v: wait until they agree", name,
				first.server, first.names[name].addresses(), one.server, one.names[name].addresses())
		}
	}
	if first == nil {
		var errs []error
		for _, one := range all {
			errs = append(errs, one.err)
		}
		return nil, fmt.Errorf("no server of the zone answers: %w", errors.Join(errs...))
	}
	return first.names[name], nil
}

// todo returns the names that not every server gives the wanted addresses for.
func (j *Journal) todo(all []seen) (names []string) {
	for _, m := range j.Names {
		wanting := func(one seen) bool { return one.err != nil || !one.names[m.Name].has(m.wanted(j.Direction).Addrs) }
		if slices.ContainsFunc(all, wanting) {
			names = append(names, m.Name)
		}
	}
	return names
}

// steps are the changes as nsupdate wants them.
func (j *Journal) steps(names []string) []string {
	lines := []string{}
	for _, name := range names {
		m := j.move(name)
		lines = append(lines, "update delete "+name+" A", "update delete "+name+" AAAA")
		wanted := m.wanted(j.Direction)
		for _, addr := range wanted.Addrs {
			kind := "AAAA"
			if addr.Is4() {
				kind = "A"
			}
			lines = append(lines, fmt.Sprintf("update add %s %d %s %s", name, int(time.Duration(wanted.TTL).Seconds()), kind, addr))
		}
		lines = append(lines, "send")
	}
	return lines
}

// guard refuses to flip before it is safe: caches would hold the old address, as the
// outcome's answers say, or visitors would find services missing.
func (s *Site) guard(ctx context.Context, t Turn, outcome *Outcome, std cli.Streams) error {
	role, addrs := t.destination(s)
	services, err := s.checkServices(ctx, role, addrs)
	if err != nil {
		return err
	}
	outcome.Answers = append(outcome.Answers, services)
	report := newReport(outcome.Answers, nil)
	if report.State == Same {
		return nil
	}
	if err := report.print(std.Err, false, s.now()); err != nil {
		return err
	}
	if t.Force {
		fmt.Fprintln(std.Err, "failover: done all the same, as you force it")
		return nil
	}
	fmt.Fprintf(std.Err, "failover: not yet safe, nothing was changed; --force does it all the same\n")
	return cli.ErrDifferent
}

func (t Turn) destination(s *Site) (role string, addrs []netip.Addr) {
	if t.Back {
		return "primary", s.Primary
	}
	return "standby", s.Standby
}

// apply sets the addresses, with the journal ahead of each change.
func (s *Site) apply(ctx context.Context, j *Journal, todo []string) error {
	for i := range j.Names {
		if !slices.Contains(todo, j.Names[i].Name) {
			j.Names[i].Set = j.Started
		}
	}
	if err := s.save("journal.json", j); err != nil {
		return err
	}
	for _, name := range todo {
		m := j.move(name)
		wanted := m.wanted(j.Direction)
		if err := s.setter.SetAddresses(ctx, s.zone, name, time.Duration(wanted.TTL), wanted.Addrs...); err != nil {
			return fmt.Errorf("%w\n%s", err, j)
		}
		m.Set = s.now()
		if err := s.save("journal.json", j); err != nil {
			return err
		}
	}
	return nil
}

// arrive waits until everybody has the addresses, and checks the services there.
func (s *Site) arrive(ctx context.Context, t Turn, j *Journal, all []seen, outcome *Outcome, std cli.Streams) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.DNS.Wait, errNotInTime)
	defer cancel()
	var servers []nameserver
	for _, one := range all {
		servers = append(servers, one.server)
	}
	told := func(a Arrival) {
		outcome.Arrivals = append(outcome.Arrivals, a)
		fmt.Fprintf(std.Out, "%s has it after %v\n", a.Server, a.After)
	}
	if err := s.watch(ctx, servers, false, j, told); err != nil {
		return fmt.Errorf("%w\n%s", err, j)
	}
	j.Finished = s.now()
	if err := s.save("journal.json", j); err != nil {
		return err
	}
	if len(s.DNS.Resolvers) > 0 {
		if err := s.watch(ctx, s.resolvers, true, j, told); err != nil {
			return fmt.Errorf("the servers of the zone have it, but %w", err)
		}
	}
	role, addrs := t.destination(s)
	services, err := s.checkServices(ctx, role, addrs)
	if err != nil {
		return err
	}
	outcome.Answers = append(outcome.Answers, services)
	if services.State != Same {
		newReport([]Answer{services}, nil).print(std.Err, false, s.now())
		return fmt.Errorf("the addresses are flipped, but not every service answers there: failover %s takes it back", opposite(j.Direction))
	}
	fmt.Fprintln(std.Out, services.Summary)
	return nil
}

var errNotInTime = errors.New("not in time")

const (
	watchInterval = time.Second
	watchRounds   = 2 // in a row: behind one address there may be several servers
)

// watch asks servers until each gives what the journal wants.
func (s *Site) watch(ctx context.Context, servers []nameserver, recursive bool, j *Journal, told func(Arrival)) error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	pending := make([]error, len(servers))
	for i, server := range servers {
		wg.Go(func() {
			pending[i] = s.await(ctx, server, recursive, j)
			mu.Lock()
			defer mu.Unlock()
			if pending[i] == nil {
				told(Arrival{server.String(), Seconds(s.now().Sub(j.Started))})
			}
		})
	}
	wg.Wait()
	if err := errors.Join(pending...); err != nil {
		return fmt.Errorf("not everybody has the addresses: %w\n%w", context.Cause(ctx), err)
	}
	return nil
}

// await asks one server; the error says what it gave last.
func (s *Site) await(ctx context.Context, server nameserver, recursive bool, j *Journal) (last error) {
	ticker := time.NewTicker(s.interval)
	defer ticker.Stop()
	for rounds := 0; ; {
		one := s.ask(ctx, server, recursive)
		if one.err == nil || last == nil || !ended(ctx) {
			last = j.missing(one)
		}
		if rounds++; last != nil {
			rounds = 0
		}
		if rounds == watchRounds {
			return nil
		}
		select {
		case <-ctx.Done():
			if last == nil {
				last = fmt.Errorf("%s: seen once only", server)
			}
			return last
		case <-ticker.C:
		}
	}
}

// ended reports whether a question may have been cut short, which is not the server's
// fault.
func ended(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// missing says what a server does not give, nil for nothing.
func (j *Journal) missing(one seen) error {
	if one.err != nil {
		return one.err
	}
	for _, m := range j.Names {
		if !one.names[m.Name].has(m.wanted(j.Direction).Addrs) {
			return fmt.Errorf("%s: %s is %v", one.server, m.Name, one.names[m.Name].addresses())
		}
	}
	return nil
}
