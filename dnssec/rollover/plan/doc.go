// Package plan foretells what becomes of the DNSSEC keys of a zone, as text, JSON
// and a picture.
//
//	timeline := plan.Of(state, policy, observed, rollover.ParentModel{}, now, now.AddDate(5, 0, 0))
//	err := timeline.WriteText(os.Stdout) // why is it stuck, what next, when
//	...
//	err = timeline.WriteSVG(file)
//
// It asks rollover.Step on a virtual clock, so the plan is what will be done, as
// long as servers, parent and people do their part and nothing is changed.
//
// It needs no privileges and no servers.
//
// Until version 1 of the module, names here may change with notice in the
// changelog.
package plan
