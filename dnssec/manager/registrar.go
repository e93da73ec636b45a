package manager

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/miekg/dns"
)

const (
	hookTimeout = 2 * time.Minute
	// hookOutput is how much of a program's output is kept for the error.
	hookOutput = 4 << 10
	// lodgeAgain is how long it takes until a request that has had no effect in the
	// parent is made again; one that failed is after Manager.Poll.
	lodgeAgain = 6 * time.Hour
)

// Hook is a program that lodges DS records, for registrars with an API. It is run
// with the zone as its last argument, and reads one JSON document from its
// standard input:
//
//	{"zone": "example.org.", "ds": ["12345 13 2 0F1E..."], "dnskey": ["257 3 13 oJB1..."]}
//
// These are all records that the parent is to have; when there are none, the
// delegation is to become insecure. It exits with 0 once the request is made; what
// it prints otherwise is in the error.
type Hook struct {
	// Command is the program and its first arguments.
	Command []string
	// Timeout is 2 minutes when zero.
	Timeout time.Duration
}

// hookInput is what a hook program reads.
type hookInput struct {
	Zone   string   `json:"zone"`
	DS     []string `json:"ds"`
	DNSKEY []string `json:"dnskey"`
}

// Lodge implements [Registrar].
func (h *Hook) Lodge(ctx context.Context, origin wire.Name, keys []dnssec.PublicKey) error {
	if len(h.Command) == 0 {
		return fmt.Errorf("manager: registrar of %s: no command", origin)
	}
	input := hookInput{Zone: origin.String(), DS: []string{}, DNSKEY: []string{}}
	for _, key := range keys {
		input.DS = append(input.DS, string(wire.AppendText(nil, wire.Type(dns.TypeDS), key.DS(origin, dnssec.SHA256))))
		input.DNSKEY = append(input.DNSKEY, string(wire.AppendText(nil, typeDNSKEY, key.RDATA())))
	}
	text, err := json.Marshal(input)
	if err != nil {
		return fmt.Errorf("manager: registrar of %s: %w", origin, err)
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(h.Timeout, hookTimeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, h.Command[0], append(h.Command[1:len(h.Command):len(h.Command)], origin.String())...)
	cmd.Stdin = bytes.NewReader(append(text, '\n'))
	output := &head{limit: hookOutput}
	cmd.Stdout, cmd.Stderr = output, output
	cmd.WaitDelay = time.Second // for what it leaves behind with its output open
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("manager: registrar of %s: %s: %w: %s", origin, strings.Join(h.Command, " "), err, strings.TrimSpace(output.String()))
	}
	return nil
}

// head keeps the beginning of what is written.
type head struct {
	bytes.Buffer
	limit int
}

func (h *head) Write(p []byte) (int, error) {
	_, _ = h.Buffer.Write(p[:min(len(p), h.limit-h.Len())])
	return len(p), nil
}

// lodge asks the registrar for the DS set that is wanted, unless it was lately. The
// mutex is not held while it works.
func (u *unit) lodge(ctx context.Context) {
	u.mutex.Lock()
	registrar, keys, now := u.zone.Registrar, lodgedDS(&u.record.State), u.manager.now()
	wanted := ""
	for _, key := range keys {
		wanted += string(key.RDATA())
	}
	again, lately := u.lodged[wanted]
	u.mutex.Unlock()
	if registrar == nil || lately && now.Before(again) && !now.Before(again.Add(-lodgeAgain)) {
		return
	}
	err := registrar.Lodge(ctx, u.origin, keys)
	u.mutex.Lock()
	defer u.mutex.Unlock()
	clear(u.lodged) // of other sets
	if err != nil {
		u.manager.counters.LodgeErrors.Add(1)
		u.problem(err)
		return
	}
	u.manager.counters.Lodged.Add(1)
	u.lodged[wanted] = now.Add(lodgeAgain)
	u.manager.logger().Info("DS records lodged", "zone", u.origin, "keys", len(keys))
}
