// Package render writes the NAT64 part of other programs' configuration: the
// translators TAYGA and Jool, the DNS64s of unbound and BIND, and radvd, which
// announces the prefix.
//
//	text, err := render.Unbound{Table: nat64.TableOf(nat64.MustParsePrefix("2001:db8:64::/96"))}.Render()
//
// Each renderer knows what its program can express, by version, and refuses
// the rest with all that is wrong: a table with ranges in unbound, say. The
// zero [Version] is the one of Debian 12.
//
// Nothing here runs or needs those programs; no privileges are needed.
//
// What it will not do: write whole configurations. The texts are fragments to
// include, but for TAYGA's and Jool's, which have nothing else in them.
//
// The API is not yet stable: it may change until the module is tagged v1.
package render
