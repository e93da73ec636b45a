package dnssecd

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/berryrack/berryrack/dnssec/manager"
	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/wire"
	"github.com/berryrack/berryrack/examples/internal/cli"
)

// zoneReport is the status of a zone in JSON.
type zoneReport struct {
	Zone     string     `json:"zone"`
	Signed   bool       `json:"signed"`
	Serial   uint32     `json:"serial"`
	Expires  *time.Time `json:"expires,omitempty"`
	Next     *time.Time `json:"next,omitempty"`
	DS       []string   `json:"ds"`
	Lodge    bool       `json:"lodge"`
	LodgeAt  *time.Time `json:"lodge_at,omitempty"`
	Keys     []keyState `json:"keys"`
	Waiting  []string   `json:"waiting"`
	Person   []string   `json:"person"`
	Problems []string   `json:"problems"`
}

// keyState is a key, and the states of its records.
type keyState struct {
	Key      string            `json:"key"`
	ID       string            `json:"id"`
	Retiring bool              `json:"retiring,omitempty"`
	Missing  bool              `json:"private_half_missing,omitempty"`
	Records  map[string]string `json:"records"`
}

func report(s *manager.Status) zoneReport {
	r := zoneReport{
		Zone: s.Zone.String(), Signed: s.State.Signed, Serial: s.Serial, Lodge: s.Lodge, DS: []string{}, Keys: []keyState{},
		Expires: given(s.Expires), Next: given(s.Next), LodgeAt: given(s.LodgeAt),
		Waiting: []string{}, Person: []string{}, Problems: append([]string{}, s.Problems...),
	}
	r.DS = append(r.DS, strings.Split(strings.TrimSpace(dsText(s.Zone, s.DS, "")), "\n")...)
	if len(s.DS) == 0 {
		r.DS = []string{}
	}
	for i := range s.State.Keys {
		k := &s.State.Keys[i]
		state := keyState{Key: k.String(), ID: k.ID.String(), Retiring: k.Retiring, Missing: k.Missing, Records: map[string]string{}}
		for record, status := range k.Records {
			state.Records[rollover.Record(record).String()] = status.State.String()
		}
		r.Keys = append(r.Keys, state)
	}
	for _, reason := range s.Reasons {
		switch {
		case reason.Person:
			r.Person = append(r.Person, reason.String())
		case !reason.Done:
			r.Waiting = append(r.Waiting, reason.String())
		}
	}
	return r
}

func given(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Status prints that of a zone, or of all.
func Status(o Options, name string, std cli.Streams) error {
	s, err := read(o.Config, std.Err)
	if err != nil {
		return err
	}
	m, err := s.manager(o)
	if err != nil {
		return err
	}
	if name != "" {
		return oneStatus(o, name, std)
	}
	reports := []zoneReport{}
	for _, z := range s.zones {
		status, err := m.Status(z.Origin)
		if err != nil {
			return permitted(err)
		}
		reports = append(reports, report(status))
	}
	if o.JSON {
		return printJSON(std.Out, reports)
	}
	t := tabwriter.NewWriter(std.Out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "ZONE\tSERIAL\tSIGNED\tEXPIRES\tATTENTION")
	for _, r := range reports {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\n", r.Zone, r.Serial, signedText(r), timeText(r.Expires), attention(r))
	}
	return t.Flush()
}

func signedText(r zoneReport) string {
	switch {
	case r.Signed && len(r.Waiting) > 0:
		return "yes, changing"
	case r.Signed:
		return "yes"
	case len(r.Keys) > 0:
		return "going"
	}
	return "no"
}

func timeText(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format("2006-01-02 15:04")
}

func attention(r zoneReport) string {
	switch {
	case len(r.Problems) > 0:
		return strings.ReplaceAll(r.Problems[0], "\n", "; ")
	case len(r.Person) > 0:
		return r.Person[0]
	}
	return "-"
}

// oneStatus prints all about a zone.
func oneStatus(o Options, name string, std cli.Streams) error {
	_, m, origin, err := open(o, name, cli.Streams{Out: io.Discard, Err: io.Discard})
	if err != nil {
		return err
	}
	status, err := m.Status(origin)
	if err != nil {
		return permitted(err)
	}
	if o.JSON {
		return printJSON(std.Out, report(status))
	}
	printStatus(std.Out, origin, status)
	return nil
}

func printStatus(w io.Writer, origin wire.Name, s *manager.Status) {
	r := report(s)
	fmt.Fprintf(w, "%s: serial %d, signed: %s, signatures until %s\n", origin, r.Serial, signedText(r), timeText(r.Expires))
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	if len(s.State.Keys) > 0 {
		fmt.Fprintln(t, "KEY\tDNSKEY\tZRRSIG\tKRRSIG\tDS\t")
	}
	for i := range s.State.Keys {
		k := &s.State.Keys[i]
		fmt.Fprintf(t, "%s", k)
		for record, status := range k.Records {
			text := status.State.String()
			if k.Role == rollover.ZSK && (rollover.Record(record) == rollover.KRRSIG || rollover.Record(record) == rollover.DS) ||
				k.Role == rollover.KSK && rollover.Record(record) == rollover.ZRRSIG {
				text = "-"
			}
			fmt.Fprintf(t, "\t%s", text)
		}
		note := ""
		if k.Retiring {
			note = "retiring"
		}
		if k.Missing {
			note = strings.TrimSpace(note + " its private half is missing")
		}
		fmt.Fprintf(t, "\t%s\n", note)
	}
	_ = t.Flush() // the writer's error comes again
	for _, part := range []struct {
		title string
		lines []string
	}{{"problems", r.Problems}, {"for you to do", r.Person}, {"waits", r.Waiting}} {
		if len(part.lines) > 0 {
			fmt.Fprintf(w, "%s:\n", part.title)
		}
		for _, line := range part.lines {
			fmt.Fprintln(w, "   ", strings.ReplaceAll(line, "\n", "\n    "))
		}
	}
	for _, secondary := range s.Secondaries {
		if secondary.Problem != "" {
			fmt.Fprintf(w, "secondary %s: %s\n", secondary.Address, secondary.Problem)
			continue
		}
		fmt.Fprintf(w, "secondary %s: serial %d\n", secondary.Address, secondary.Serial)
	}
}
