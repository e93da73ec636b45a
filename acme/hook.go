package acme

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// reloadTimeout is how long one reload command may run.
const reloadTimeout = 2 * time.Minute

// maxReloadOutput is how much of a failing command's output an error tells.
const maxReloadOutput = 500

// A Hook does what an ACME client asks of its hook program. It prints nothing
// for dehydrated, which takes what generate_csr prints for a CSR.
type Hook struct {
	// Solver does the work; its Journal is required for certbot and for Reload, and
	// wanted for all.
	Solver *Solver
	// Dialect of the caller; empty is recognised from the call.
	Dialect Dialect
	// Reload are commands to run when dehydrated has deployed a certificate, one
	// after the other. When one fails they are run again by the next call about
	// that certificate, although it has not changed.
	Reload [][]string
	// Output is this program's standard output; required for certbot, which gives
	// what is printed when a challenge is published to the call that withdraws it.
	Output io.Writer
	// Logger hears what is done; nil is silent.
	Logger *slog.Logger
}

// Run does what one call asks. Args are the program's arguments with its own
// name in front (os.Args), lookup is [os.LookupEnv].
//
// An error is for the exit status: dehydrated then stops, certbot goes on to a
// validation that fails. A challenge that could not be published is withdrawn.
func (h *Hook) Run(ctx context.Context, args []string, lookup func(string) (string, bool)) error {
	dialect := cmp.Or(h.Dialect, recognise(args, lookup))
	r, err := dialect.parse(args, lookup)
	if err != nil {
		return err
	}
	switch r.op {
	case publish:
		if err := h.Solver.Publish(ctx, r.challenges...); err != nil {
			return err
		}
		return h.Solver.hand(ctx, ancestor(clients[dialect]...), r.challenges)
	case publishOne:
		return h.publishOne(ctx, r, ancestor(clients[dialect]...))
	case withdraw:
		return h.Solver.Withdraw(ctx, r.challenges...)
	case start:
		return h.Solver.Reap(ctx)
	case deployed:
		return h.deploy(ctx, r.subject)
	case unchanged:
		return h.retry(ctx, r.subject)
	case failed:
		logger(h.Logger).Error("the authority refuses", "subject", r.subject, "answer", r.detail)
	}
	return nil
}

// Plan returns what Run would change, as commands for nsupdate or the shell.
func (h *Hook) Plan(ctx context.Context, args []string, lookup func(string) (string, bool)) ([]string, error) {
	r, err := cmp.Or(h.Dialect, recognise(args, lookup)).parse(args, lookup)
	if err != nil {
		return nil, err
	}
	var plan []string
	switch r.op {
	case publish, publishOne, withdraw:
		records, err := h.Solver.Plan(ctx, r.challenges...)
		if err != nil {
			return nil, err
		}
		for _, record := range records {
			if r.op == withdraw {
				plan = append(plan, fmt.Sprintf("update delete %s TXT %q", record.Name, record.Value))
			} else {
				plan = append(plan, fmt.Sprintf("update add %s %d TXT %q", record.Name, record.TTL/time.Second, record.Value))
			}
		}
	case deployed:
		for _, command := range h.Reload {
			plan = append(plan, strings.Join(command, " "))
		}
	}
	return plan, nil
}

// publishOne publishes one challenge of a batch, and with the last one waits
// for all.
func (h *Hook) publishOne(ctx context.Context, r request, client process) error {
	if h.Solver.Journal == nil {
		return errors.New("acme: certbot's dialect needs a journal: it brings its challenges one by one")
	}
	if h.Output == nil {
		return errors.New("acme: certbot's dialect needs an output: it is what tells the call that withdraws")
	}
	// First, so that a failure, which certbot ignores, is withdrawn as well.
	if _, err := fmt.Fprintln(h.Output, r.challenges[0].Value); err != nil {
		return fmt.Errorf("acme: %w", err)
	}
	if err := h.Solver.Append(ctx, r.challenges...); err != nil {
		return err
	}
	if err := h.Solver.hand(ctx, client, r.challenges); err != nil || r.more {
		return err
	}
	l, err := h.Solver.Journal.read()
	if err != nil {
		return err
	}
	batch := r.challenges
	for _, e := range l.Records {
		if e.Waiting && e.Owner == client && inBatch(e, r.names) {
			batch = append(batch, Challenge{Name: e.Challenge, Value: e.Value})
		}
	}
	return h.Solver.Wait(ctx, unique(batch)...)
}

// inBatch reports whether an entry is for one of the names.
func inBatch(e entry, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		owner, err := Challenge{Domain: name}.owner()
		return err == nil && owner == e.Challenge
	})
}

// unique drops challenges for the same record.
func unique(challenges []Challenge) []Challenge {
	seen := map[Challenge]bool{}
	return slices.DeleteFunc(challenges, func(c Challenge) bool {
		owner, _ := c.owner()
		key := Challenge{Name: owner, Value: c.value()}
		twice := seen[key]
		seen[key] = true
		return twice
	})
}

// deploy runs the reload commands, having noted that they are due.
func (h *Hook) deploy(ctx context.Context, subject string) error {
	if len(h.Reload) == 0 {
		return nil
	}
	if err := h.note(ctx, subject, true); err != nil {
		return err
	}
	return h.reload(ctx, subject)
}

// retry runs them again if they are still due.
func (h *Hook) retry(ctx context.Context, subject string) error {
	if h.Solver.Journal == nil || len(h.Reload) == 0 {
		return nil
	}
	l, err := h.Solver.Journal.read()
	if err != nil || !slices.Contains(l.Undeployed, subject) {
		return err
	}
	return h.reload(ctx, subject)
}

func (h *Hook) reload(ctx context.Context, subject string) error {
	for _, command := range h.Reload {
		if err := runCommand(ctx, command); err != nil {
			return fmt.Errorf("acme: the certificate of %s is there, but %w; it will be tried again with the next call", subject, err)
		}
	}
	return h.note(ctx, subject, false)
}

// note records whether the reload commands for a certificate are due.
func (h *Hook) note(ctx context.Context, subject string, due bool) error {
	if h.Solver.Journal == nil {
		return nil
	}
	return h.Solver.Journal.update(ctx, func(l *ledger) {
		l.Undeployed = slices.DeleteFunc(l.Undeployed, func(s string) bool { return s == subject })
		if due {
			l.Undeployed = append(l.Undeployed, subject)
		}
	})
}

func runCommand(ctx context.Context, command []string) error {
	if len(command) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.WaitDelay = time.Second
	if output, err := cmd.CombinedOutput(); err != nil {
		output = bytes.TrimSpace(output[:min(len(output), maxReloadOutput)])
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, output)
	}
	return nil
}
