package ethtool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/mdlayher/genetlink"
	"github.com/mdlayher/netlink"

	"github.com/berryrack/berryrack/poe"
)

// ErrNoPSE is wrapped by the errors of interfaces without a PSE, and of kernels
// that know of none.
var ErrNoPSE = errors.New("no PSE here")

// PSE is the PSE ports of this machine, of the network namespace in which it
// was dialled. It is safe for concurrent use.
type PSE struct {
	interfaces map[poe.PortID]string
	family     uint16
	podl       sync.Map // of PortID: whether the kernel has told of Clause 104 alone

	mu   sync.Mutex
	conn *genetlink.Conn
}

// Dial asks the kernel for ethtool's netlink family. The interfaces are the
// ports.
func Dial(interfaces map[poe.PortID]string) (*PSE, error) {
	if err := validate(interfaces); err != nil {
		return nil, err
	}
	conn, err := genetlink.Dial(&netlink.Config{Strict: true})
	if err != nil {
		return nil, fmt.Errorf("poe/ethtool: netlink: %w", err)
	}
	p, err := newPSE(conn, interfaces)
	if err != nil {
		conn.Close()
	}
	return p, err
}

// validate returns what is wrong with the interfaces, all at once.
func validate(interfaces map[poe.PortID]string) error {
	var problems []error
	for id, name := range interfaces {
		if !id.IsValid() || name == "" || len(name) > 15 {
			problems = append(problems, fmt.Errorf("poe/ethtool: port %v: interface %q: want a group.port and a name of up to 15 bytes", id, name))
		}
	}
	return errors.Join(problems...)
}

func newPSE(conn *genetlink.Conn, interfaces map[poe.PortID]string) (*PSE, error) {
	family, err := conn.GetFamily(familyName)
	if err != nil {
		return nil, fmt.Errorf("poe/ethtool: %w: this kernel has no ethtool netlink: %w", ErrNoPSE, err)
	}
	return &PSE{interfaces: maps.Clone(interfaces), family: family.ID, conn: conn}, nil
}

// Close closes the netlink socket.
func (p *PSE) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conn.Close()
}

// execute sends a message and returns the answers.
func (p *PSE) execute(ctx context.Context, m genetlink.Message, flags netlink.HeaderFlags) ([]genetlink.Message, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	_ = p.conn.SetDeadline(time.Time{})
	stop := context.AfterFunc(ctx, func() { _ = p.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	answers, err := p.conn.Execute(m, p.family, netlink.Request|flags)
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return answers, err
}

// failed explains an error about a port.
func (p *PSE) failed(id poe.PortID, err error) error {
	name := p.interfaces[id]
	switch {
	case errors.Is(err, syscall.EOPNOTSUPP):
		return fmt.Errorf("poe/ethtool: port %v (%s): %w: %w", id, name, ErrNoPSE, err)
	case errors.Is(err, syscall.ENODEV):
		return fmt.Errorf("poe/ethtool: port %v: no interface %s: %w: %w", id, name, poe.ErrNoPort, err)
	case errors.Is(err, syscall.EPERM):
		return fmt.Errorf("poe/ethtool: port %v (%s): needs CAP_NET_ADMIN: %w: %w", id, name, poe.ErrRefused, err)
	}
	return fmt.Errorf("poe/ethtool: port %v (%s): %w", id, name, err)
}

// get asks for a port's state.
func (p *PSE) get(ctx context.Context, id poe.PortID) (reply, error) {
	name, ok := p.interfaces[id]
	if !ok {
		return reply{}, fmt.Errorf("poe/ethtool: port %v: %w", id, poe.ErrNoPort)
	}
	m, err := request(msgPSEGet, name, 0, 0)
	if err != nil {
		return reply{}, p.failed(id, err)
	}
	answers, err := p.execute(ctx, m, 0)
	if err != nil {
		return reply{}, p.failed(id, err)
	}
	if len(answers) != 1 || answers[0].Header.Command != msgPSEGetReply {
		return reply{}, fmt.Errorf("poe/ethtool: port %v (%s): the kernel answered something else", id, name)
	}
	r, err := parseReply(answers[0].Data)
	if err != nil {
		return reply{}, p.failed(id, err)
	}
	p.podl.Store(id, !r.hasC33())
	if r.podl == (side{}) && !r.hasC33() {
		return reply{}, fmt.Errorf("poe/ethtool: port %v (%s): %w: the kernel tells no state", id, name, ErrNoPSE)
	}
	return r, nil
}

// Ports implements poe.PSE: the ports given to [Dial].
func (p *PSE) Ports(context.Context) ([]poe.PortID, error) {
	return slices.SortedFunc(maps.Keys(p.interfaces), poe.PortID.Compare), nil
}

// Status implements poe.PSE.
func (p *PSE) Status(ctx context.Context, ports ...poe.PortID) ([]poe.Status, error) {
	if len(ports) == 0 {
		ports, _ = p.Ports(ctx)
	}
	all := make([]poe.Status, 0, len(ports))
	for _, id := range ports {
		r, err := p.get(ctx, id)
		if err != nil {
			return nil, err
		}
		s := r.status(id)
		if s.Admin == 0 || s.Detection == 0 { // it would confirm what nobody has seen
			return nil, fmt.Errorf("poe/ethtool: port %v (%s): the kernel does not know the port's state: it is %v", id, p.interfaces[id], s)
		}
		all = append(all, s)
	}
	return all, nil
}

// Set implements poe.PSE.
func (p *PSE) Set(ctx context.Context, id poe.PortID, admin poe.Admin) error {
	value := map[poe.Admin]uint32{poe.AdminEnabled: adminEnabled, poe.AdminDisabled: adminDisabled}[admin]
	if value == 0 {
		return fmt.Errorf("poe/ethtool: port %v: admin state %v cannot be set: %w", id, admin, poe.ErrRefused)
	}
	before, err := p.get(ctx, id)
	if err != nil {
		return err
	}
	if err := p.set(ctx, id, before.adminControl(), value); err != nil {
		return err
	}
	after, err := p.get(ctx, id)
	if err != nil {
		return err
	}
	if s := after.status(id); s.Admin != admin {
		return fmt.Errorf("poe/ethtool: port %v: %w: it is %v", id, poe.ErrUnconfirmed, s)
	}
	return nil
}

// adminControl returns the attribute that switches this kind of PSE.
func (r reply) adminControl() uint16 {
	if r.hasC33() {
		return attrC33AdminControl
	}
	return attrPoDLAdminControl
}

func (p *PSE) set(ctx context.Context, id poe.PortID, attribute uint16, value uint32) error {
	m, err := request(msgPSESet, p.interfaces[id], attribute, value)
	if err == nil {
		_, err = p.execute(ctx, m, netlink.Acknowledge)
	}
	if err != nil {
		return p.failed(id, err)
	}
	return nil
}

// Limit returns a port's power limit. A PSE that has none returns an error that
// wraps [errors.ErrUnsupported].
func (p *PSE) Limit(ctx context.Context, id poe.PortID) (Limit, error) {
	r, err := p.get(ctx, id)
	if err == nil && r.limit.Watts == 0 {
		err = fmt.Errorf("poe/ethtool: port %v: power limit: %w", id, errors.ErrUnsupported)
	}
	return r.limit, err
}

// SetLimit sets a port's power limit to watts, within one of the ranges that
// [PSE.Limit] returns if there are any.
func (p *PSE) SetLimit(ctx context.Context, id poe.PortID, watts float64) error {
	limit, err := p.Limit(ctx, id)
	if err != nil {
		return err
	}
	within := func(r Range) bool { return r.Min <= watts && watts <= r.Max }
	if !(watts > 0 && watts < math.MaxUint32/1000) || len(limit.Ranges) > 0 && !slices.ContainsFunc(limit.Ranges, within) {
		return fmt.Errorf("poe/ethtool: port %v: limit of %v W: want one of %v: %w", id, watts, limit.Ranges, poe.ErrRefused)
	}
	return p.set(ctx, id, attrC33Limit, uint32(math.Round(watts*1000)))
}

// Explain implements poe.Explainer with ethtool's command. Which kind of PSE it
// names is known once the port's status has been asked for, and Clause 33 before.
func (p *PSE) Explain(step poe.Step) string {
	word := map[poe.Admin]string{poe.AdminEnabled: "enable", poe.AdminDisabled: "disable"}[step.Admin]
	if word == "" {
		return ""
	}
	option := "c33-pse-admin-control"
	if podl, ok := p.podl.Load(step.Port); ok && podl == true {
		option = "podl-pse-admin-control"
	}
	return fmt.Sprintf("ethtool --set-pse %s %s %s", p.interfaces[step.Port], option, word)
}
