package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/berryrack/berryrack/poe"
)

// DefaultTimeout is what a zero [PSE.Timeout] means.
const DefaultTimeout = 30 * time.Second

const (
	maxOutput = 1 << 20 // bytes of JSON
	maxStderr = 1 << 10 // bytes that an error repeats
	maxPorts  = 1 << 12
	// grace is how long a killed program's output may stay open.
	grace = time.Second
)

// PSE is what the program tells of. It is safe for concurrent use if the
// program is, and must not be changed while it is used.
type PSE struct {
	// Argv is the program and its first arguments. No shell sees it.
	Argv []string

	// Timeout is how long one run may take. Zero means [DefaultTimeout].
	Timeout time.Duration
}

// Ports implements poe.PSE.
func (p *PSE) Ports(ctx context.Context) ([]poe.PortID, error) {
	all, err := p.Status(ctx)
	var ports []poe.PortID
	for _, s := range all {
		ports = append(ports, s.Port)
	}
	return ports, err
}

// Status implements poe.PSE.
func (p *PSE) Status(ctx context.Context, ports ...poe.PortID) ([]poe.Status, error) {
	args := []string{"status"}
	for _, id := range ports {
		args = append(args, id.String())
	}
	all, err := p.run(ctx, args...)
	if err != nil {
		return nil, err
	}
	if len(ports) == 0 {
		slices.SortFunc(all, func(a, b poe.Status) int { return a.Port.Compare(b.Port) })
		return all, nil
	}
	return p.pick(all, ports)
}

// pick returns the status of the ports in their order.
func (p *PSE) pick(all []poe.Status, ports []poe.PortID) ([]poe.Status, error) {
	var picked []poe.Status
	for _, id := range ports {
		i := slices.IndexFunc(all, func(s poe.Status) bool { return s.Port == id })
		if i < 0 {
			return nil, fmt.Errorf("poe/command: %s: port %v: %w", p.name(), id, poe.ErrNoPort)
		}
		picked = append(picked, all[i])
	}
	return picked, nil
}

// Set implements poe.PSE.
func (p *PSE) Set(ctx context.Context, id poe.PortID, admin poe.Admin) error {
	verb := map[poe.Admin]string{poe.AdminEnabled: "on", poe.AdminDisabled: "off"}[admin]
	if verb == "" {
		return fmt.Errorf("poe/command: port %v: admin state %v cannot be set: %w", id, admin, poe.ErrRefused)
	}
	all, err := p.run(ctx, verb, id.String())
	if err != nil {
		return err
	}
	now, err := p.pick(all, []poe.PortID{id})
	if err == nil && now[0].Admin != admin {
		err = fmt.Errorf("poe/command: %s: %w: %v", p.name(), poe.ErrUnconfirmed, now[0])
	}
	return err
}

// Explain implements poe.Explainer.
func (p *PSE) Explain(step poe.Step) string {
	verb := map[poe.Admin]string{poe.AdminEnabled: "on", poe.AdminDisabled: "off"}[step.Admin]
	if verb == "" {
		return ""
	}
	return strings.Join(append(slices.Clone(p.Argv), verb, step.Port.String()), " ")
}

func (p *PSE) name() string {
	if len(p.Argv) == 0 {
		return "no program"
	}
	return p.Argv[0]
}

// run runs the program and reads its answer.
func (p *PSE) run(ctx context.Context, args ...string) ([]poe.Status, error) {
	if len(p.Argv) == 0 {
		return nil, errors.New("poe/command: no program is named")
	}
	timeout := p.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(limited, p.Argv[0], append(slices.Clone(p.Argv[1:]), args...)...)
	stdout, stderr := limitedBuffer{limit: maxOutput + 1}, limitedBuffer{limit: maxStderr}
	cmd.Stdout, cmd.Stderr, cmd.Env, cmd.WaitDelay = &stdout, &stderr, environment(), grace
	killAll(cmd)
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("poe/command: %s %s: %w", p.name(), args[0], context.Cause(ctx))
	case limited.Err() != nil:
		return nil, fmt.Errorf("poe/command: %s %s: took longer than %v", p.name(), args[0], timeout)
	case err != nil:
		return nil, fmt.Errorf("poe/command: %s %s: %w: %s", p.name(), args[0], err, strings.TrimSpace(string(stderr.kept)))
	}
	all, err := parse(stdout.kept)
	if err != nil {
		return nil, fmt.Errorf("poe/command: %s %s: its answer: %w", p.name(), args[0], err)
	}
	return all, nil
}

// environment is what the program gets of ours.
func environment() []string {
	env := []string{}
	for _, name := range []string{"PATH", "HOME", "LANG"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// limitedBuffer keeps the beginning of what is written.
type limitedBuffer struct {
	kept  []byte
	limit int
}

func (b *limitedBuffer) Write(text []byte) (int, error) {
	b.kept = append(b.kept, text[:min(len(text), b.limit-len(b.kept))]...)
	return len(text), nil
}

// answer is the program's JSON.
type answer struct {
	Ports []struct {
		Port      poe.PortID    `json:"port"`
		Admin     poe.Admin     `json:"admin"`
		Detection poe.Detection `json:"detection"`
		Class     *int          `json:"class"`
		Watts     *float64      `json:"watts"`
	} `json:"ports"`
}

// parse reads the program's answer.
func parse(text []byte) ([]poe.Status, error) {
	switch {
	case len(text) == 0:
		return nil, errors.New("there is none: no output is no success")
	case len(text) > maxOutput:
		return nil, fmt.Errorf("longer than %d bytes", maxOutput)
	}
	var a answer
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("text after the document")
	}
	if a.Ports == nil || len(a.Ports) > maxPorts {
		return nil, fmt.Errorf(`want "ports", a list of up to %d`, maxPorts)
	}
	return a.statuses()
}

func (a answer) statuses() ([]poe.Status, error) {
	var problems []error
	seen := map[poe.PortID]bool{}
	all := make([]poe.Status, 0, len(a.Ports))
	for i, p := range a.Ports {
		s := poe.Status{Port: p.Port, Admin: p.Admin, Detection: p.Detection}
		switch {
		case !p.Port.IsValid():
			problems = append(problems, fmt.Errorf("ports[%d]: no port", i))
		case seen[p.Port]:
			problems = append(problems, fmt.Errorf("ports[%d]: port %v twice", i, p.Port))
		case p.Admin == 0:
			problems = append(problems, fmt.Errorf("port %v: want admin, enabled or disabled", p.Port))
		case p.Class != nil && poe.ClassOf(*p.Class) == 0:
			problems = append(problems, fmt.Errorf("port %v: class %d: want 0 to 8", p.Port, *p.Class))
		case p.Watts != nil && *p.Watts < 0:
			problems = append(problems, fmt.Errorf("port %v: %v W", p.Port, *p.Watts))
		}
		if p.Class != nil {
			s.Class = poe.ClassOf(*p.Class)
		}
		if p.Watts != nil {
			s.Watts, s.Metered = *p.Watts, true
		}
		seen[p.Port] = true
		all = append(all, s)
	}
	return all, errors.Join(problems...)
}
