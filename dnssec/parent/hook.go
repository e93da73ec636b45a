package parent

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

// Lodge has the program lodge the DS records of keys, all that the zone is to have.
func (h *Hook) Lodge(ctx context.Context, origin wire.Name, keys []dnssec.PublicKey) error {
	if len(h.Command) == 0 {
		return fmt.Errorf("parent: registrar of %s: no command", origin)
	}
	input := hookInput{Zone: origin.String(), DS: []string{}, DNSKEY: []string{}}
	for _, key := range keys {
		input.DS = append(input.DS, string(wire.AppendText(nil, wire.Type(dns.TypeDS), key.DS(origin, dnssec.SHA256))))
		input.DNSKEY = append(input.DNSKEY, string(wire.AppendText(nil, wire.Type(dns.TypeDNSKEY), key.RDATA())))
	}
	text, err := json.Marshal(input)
	if err != nil {
		return fmt.Errorf("parent: registrar of %s: %w", origin, err)
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(h.Timeout, hookTimeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, h.Command[0], append(h.Command[1:len(h.Command):len(h.Command)], origin.String())...)
	cmd.Stdin = bytes.NewReader(append(text, '\n'))
	output := &head{limit: hookOutput}
	cmd.Stdout, cmd.Stderr = output, output
	cmd.WaitDelay = time.Second // for what it leaves behind with its output open
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("parent: registrar of %s: %s: %w: %s", origin, strings.Join(h.Command, " "), err, bytes.TrimSpace(output.kept))
	}
	return nil
}

// head keeps the beginning of what is written.
type head struct {
	kept  []byte
	limit int
}

func (h *head) Write(p []byte) (int, error) {
	h.kept = append(h.kept, p[:min(len(p), h.limit-len(h.kept))]...)
	return len(p), nil
}
