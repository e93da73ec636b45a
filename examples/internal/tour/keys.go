package tour

import (
	"context"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/berryrack/berryrack/dnssec/rollover/plan"
)

// planLines is how much of the plan is told in words; all of it is in the picture.
const planLines = 14

// rollKeys plans the keys of a zone for a year, from its green button on.
func rollKeys(context.Context, *Tour) (result, error) {
	now := time.Now()
	// shown:
	state := rollover.State{Zone: "example.org.", Signed: true}
	policy := rollover.Policy{Parent: rollover.ByRegistrar, KSKLifetime: 180 * 24 * time.Hour}
	timeline := plan.Of(state, policy, rollover.Observations{}, rollover.ParentModel{}, now, now.AddDate(1, 0, 0))
	// until here
	if len(timeline.Stuck) > 0 {
		return result{}, fmt.Errorf("the plan gets stuck: %s", timeline.Stuck[0])
	}
	var picture, text strings.Builder
	if err := timeline.WriteSVG(&picture); err != nil {
		return result{}, err
	}
	if err := timeline.WriteText(&text); err != nil {
		return result{}, err
	}
	_, future, _ := strings.Cut(text.String(), "plan:\n")
	first := strings.Join(strings.SplitAfterN(future, "\n", planLines+1)[:planLines], "")
	return result{
		facts:   []string{fmt.Sprintf("%d keys come and go within a year, and so it begins:\n%s", len(timeline.Lanes), strings.TrimRight(first, "\n"))},
		picture: template.HTML(picture.String()),
		caption: "A year of the zone's keys on a virtual clock. No state is left before every copy of the former one has left the caches.",
	}, nil
}
