//go:build !race

package rollover

const defaultRuns = 1000
