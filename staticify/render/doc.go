// Package render fetches pages from the origin as a visitor of whom it knows nothing, and refuses what is not for
// everybody.
package render
