package poe

import (
	"context"
	"fmt"
	"slices"
)

// Step is one change that a [Controller] asks of a PSE.
type Step struct {
	Port  PortID // that is changed
	Admin Admin  // what is set; zero for a reset
	Mode  string // how the port is enabled, as [ModeKeeper] names it; "" where nobody keeps modes
	Reset bool   // the equipment's own cycle, see [Resetter]
}

// Explainer is a PSE that can say a step as the command that a person would
// type, without secrets. It returns "" for a step that it cannot do.
type Explainer interface {
	Explain(Step) string
}

// Explain returns the commands that a person would type to bring the port into
// the given states, one after the other: AdminDisabled and AdminEnabled for
// what Cycle does, one of them for Off and On. There are none when nothing would
// be changed, or when the PSE cannot explain. The guard is asked as before the
// act itself; nothing is changed.
func (c *Controller) Explain(ctx context.Context, id PortID, states ...Admin) ([]string, error) {
	if _, err := c.allowed(id); err != nil {
		return nil, err
	}
	now, err := c.status(ctx, id)
	if err == nil && slices.Contains(states, AdminDisabled) {
		err = c.Check(ctx, id)
	}
	if err != nil {
		return nil, err
	}
	explainer, ok := c.PSE.(Explainer)
	_, dark := c.Journal.dark(id)
	if !ok || len(states) == 1 && states[0] == now.Admin && !dark {
		return nil, nil
	}
	mode, err := c.modeOf(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.commands(explainer, id, mode, states), nil
}

func (c *Controller) commands(explainer Explainer, id PortID, mode string, states []Admin) (lines []string) {
	if len(states) > 1 && c.Native {
		if line := explainer.Explain(Step{Port: id, Reset: true}); line != "" {
			return []string{line}
		}
	}
	for i, admin := range states {
		if i > 0 {
			lines = append(lines, fmt.Sprintf("sleep %v", c.hold().Seconds()))
		}
		step := Step{Port: id, Admin: admin}
		if admin == AdminEnabled {
			step.Mode = mode
		}
		lines = append(lines, explainer.Explain(step))
	}
	return lines
}
