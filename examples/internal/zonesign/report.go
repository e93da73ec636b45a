package zonesign

import (
	"fmt"
	"io"
	"time"

	"github.com/berryrack/berryrack/examples/internal/cli"
)

// Figures is what a run did, for people and programs.
type Figures struct {
	Serial    uint32    `json:"serial"`
	Names     int       `json:"names"`
	Signed    int       `json:"signatures_made"`
	Reused    int       `json:"signatures_reused"`
	Unchanged bool      `json:"unchanged"`
	KeysMade  int       `json:"keys_made"`
	DS        []string  `json:"ds"`
	Due       time.Time `json:"due"`
	Expiry    time.Time `json:"expiry"`
	Read      float64   `json:"read_seconds"`
	Sign      float64   `json:"sign_seconds"`
	Write     float64   `json:"write_seconds"`
}

// Figures returns the outcome in figures.
func (o *Outcome) Figures() Figures {
	return Figures{
		Serial: o.Serial, Names: o.Zone.Names.Len(), Signed: o.Signed, Reused: o.Reused, Unchanged: o.Unchanged,
		KeysMade: o.Made, DS: o.DS(), Due: o.Due, Expiry: o.Expiry,
		Read: o.Read.Seconds(), Sign: o.Sign.Seconds(), Write: o.Write.Seconds(),
	}
}

// WriteText writes the figures for people.
func (f Figures) WriteText(w io.Writer) error {
	rate := 0.0
	if f.Sign > 0 {
		rate = float64(f.Signed) / f.Sign
	}
	_, err := fmt.Fprintf(w, `serial      %d
names       %d
signatures  %d made, %d reused
time        read %.2f s, sign %.2f s (%.0f signatures/s), write %.2f s
sign again  from %s, before %s
`, f.Serial, f.Names, f.Signed, f.Reused, f.Read, f.Sign, rate, f.Write,
		f.Due.Format(time.RFC3339), f.Expiry.Format(time.RFC3339))
	return err
}

// Bar returns a function that shows on a terminal how far the signing is, nil when
// w is none.
func Bar(w io.Writer) func(done, total int) {
	if !cli.IsTerminal(w) {
		return nil
	}
	bar := cli.Bar(w, -1)
	return func(done, total int) {
		bar.ChangeMax(total)
		_ = bar.Set(done) // a bar that cannot be drawn stops nothing
	}
}
