// Package rollover decides when the DNSSEC keys of a zone are made, published,
// used, lodged with the parent and withdrawn, and explains each decision.
//
//	state := rollover.State{Zone: "example.org.", Signed: true}
//	for {
//		result := rollover.Step(state, policy, observe(), time.Now())
//		state = result.State
//		save(state)                   // the intent first,
//		carryOut(result.Actions)      // then the effect: keys made, DS lodged,
//		publish(state.Uses())         // and the zone signed with these keys
//		for _, reason := range result.Reasons {
//			log.Print(reason)
//		}
//		sleepUntil(result.Next)
//	}
//
// Each record that belongs to a key, its DNSKEY, the signatures made with it and
// its DS, is hidden, rumoured, omnipresent or unretentive, as in "Flexible and
// Robust Key Rollover" (SATIN 2012) and in BIND's key manager. [Step] moves a
// record on when the time of RFC 7583 has passed and no resolver, whatever sets
// it still has cached, would find a chain of trust broken. It is a pure function:
// what it needs to know comes in as [Observations], what has to be done comes out
// as [Action] values that come again until they are seen to be done, so a crash
// between any two lines above does no harm. A [Future] runs Step on a virtual
// clock; package plan makes text, JSON and a picture of it.
//
// Zone signing keys are rolled over by pre-publication, key signing keys by the
// Double-KSK method, algorithms conservatively: signatures come before the keys
// and go after them. Policies, algorithms and the kind of keys may change at any
// moment, in the middle of a rollover too. A key signing key rolls over by itself
// only when Policy.Parent says that the parent follows without a person.
//
// It needs no privileges, no servers and no network; it reads no clock and keeps
// nothing. It makes no keys, and signs nothing: see packages dnssec and keystore.
// It does not do trust anchors (RFC 5011), nor zones with several signers (RFC
// 8901).
//
// RFCs: 4035 section 2.2, 6781, 6840 section 5.11, 7344, 7583, 8078.
//
// Until version 1 of the module, names here may change with notice in the
// changelog.
package rollover
