//go:build race

package rollover

// The property test runs in one goroutine: the race detector has nothing to find
// in it, and is slow.
const defaultRuns, judgedRuns = 100, 1000
