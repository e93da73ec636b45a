package node

import (
	"testing"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/munin/internal/oracle"
)

func startOracle(t testing.TB) *oracle.Oracle {
	lab.Need(t, oracle.Judges...)
	return oracle.Start(t, lab.Program(t, "perl"))
}
