// Package zonesign signs a zone file: it reads zone, keys and previous signatures,
// makes keys when there are none, signs, checks, and writes the result.
package zonesign
