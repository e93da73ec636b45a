package plan

import (
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/berryrack/berryrack/dnssec"
	"github.com/berryrack/berryrack/dnssec/rollover"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

var start = time.Date(2026, 12, 1, 9, 30, 0, 0, time.UTC)

// running returns a zone that was signed five days ago.
func running() *rollover.Future {
	f := rollover.NewFuture(rollover.State{Zone: "example.org.", Signed: true}, rollover.Policy{}, rollover.Observations{}, rollover.ParentModel{}, start.AddDate(0, 0, -5))
	for f.Now.Before(start) {
		result, again := f.Next()
		if !again {
			f.Forward(result.Next)
		}
	}
	return f
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// TestGolden plans a change of the algorithm and of the kind of keys, for a zone
// that is signed.
func TestGolden(t *testing.T) {
	f := running()
	policy := rollover.Policy{Algorithm: dnssec.ED25519, CSK: true, Parent: rollover.ByCDS}
	timeline := Of(f.State, policy, rollover.Observations{Keys: f.Keys}, rollover.ParentModel{}, f.Now, f.Now.AddDate(0, 0, 5))
	var text, svg strings.Builder
	require.NoError(t, timeline.WriteText(&text))
	golden(t, "algorithm.txt", text.String())
	require.NoError(t, timeline.WriteSVG(&svg))
	golden(t, "algorithm.svg", svg.String())
	wellFormed(t, svg.String())

	encoded, err := json.Marshal(timeline)
	require.NoError(t, err)
	var back Timeline
	require.NoError(t, json.Unmarshal(encoded, &back))
	require.Equal(t, len(timeline.Moments), len(back.Moments))
	require.Contains(t, string(encoded), `"State":"unretentive"`)
}

func wellFormed(t *testing.T, text string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(text))
	for {
		_, err := decoder.Token()
		if err == io.EOF {
			return
		}
		require.NoError(t, err)
	}
}

// TestYears: the keys of five years, and any span of time has a readable axis.
func TestYears(t *testing.T) {
	f := running()
	policy := rollover.Policy{Parent: rollover.ByCDS, KSKLifetime: 365 * 24 * time.Hour}
	timeline := Of(f.State, policy, rollover.Observations{Keys: f.Keys}, rollover.ParentModel{}, f.Now, f.Now.AddDate(5, 0, 0))
	roles := map[rollover.Role]int{}
	for _, lane := range timeline.Lanes {
		roles[lane.Role]++
	}
	require.Equal(t, 6, roles[rollover.KSK], "one a year")
	require.Equal(t, 21, roles[rollover.ZSK], "one in 90 days")
	require.Empty(t, timeline.Stuck)
	for span := time.Minute; span < 100*365*24*time.Hour; span *= 3 {
		d := &drawing{Timeline: &Timeline{From: start, To: start.Add(span)}}
		ticks, layout := d.ticks()
		require.NotEmpty(t, layout)
		require.LessOrEqual(t, len(ticks), 12, span)
		require.GreaterOrEqual(t, len(ticks), 1, span)
	}
}

// TestStuck: what nobody does is said.
func TestStuck(t *testing.T) {
	timeline := Of(rollover.State{Zone: "<&>.example.", Signed: true}, rollover.Policy{}, rollover.Observations{}, rollover.ParentModel{Delay: -1}, start, start.AddDate(0, 1, 0))
	var text, svg strings.Builder
	require.NoError(t, timeline.WriteText(&text))
	_, stuck, _ := strings.Cut(text.String(), "not done by then:")
	require.Contains(t, stuck, "it has to be seen at all servers of the parent first")
	require.NoError(t, timeline.WriteSVG(&svg))
	wellFormed(t, svg.String())
	require.Contains(t, svg.String(), "Keys of &lt;&amp;&gt;.example.")
}

// BenchmarkOf is the five years of a zone.
func BenchmarkOf(b *testing.B) {
	for b.Loop() {
		Of(rollover.State{Zone: "example.org.", Signed: true}, rollover.Policy{Parent: rollover.ByCDS, KSKLifetime: 365 * 24 * time.Hour}, rollover.Observations{}, rollover.ParentModel{}, start, start.AddDate(5, 0, 0))
	}
}
