//go:build !race

package rollover

const defaultRuns, judgedRuns = 300, 10_000
