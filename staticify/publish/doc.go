// Package publish writes pages as files, and switches to them in one step.
package publish
