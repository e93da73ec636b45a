// Package includedir installs a [munin.Master] as the files of the directory
// that munin.conf's includedir names, and reads such a directory as munin does.
//
//	dir := includedir.Dir{Path: "/etc/munin/munin-conf.d"}
//	plan, err := dir.Plan(m)
//	if err != nil {
//		log.Fatal(err) // m is not valid, or too many hosts would leave
//	}
//	for _, step := range plan.Steps {
//		fmt.Println(step)
//	}
//	err = plan.Apply(ctx)
//
// There is one file for each top-level group, so that a change of one host
// rewrites one file. Each is written under a hidden name, which munin does not
// load, synced, and renamed. Only files that the package wrote are changed or
// removed, and of those only so many at once that an inventory which was read
// by half cannot take the graphs away.
//
// It needs to be able to write to the directory, and nothing of munin's. It
// will not edit munin.conf, and not start munin.
//
// Until version 1 the API may change between minor versions.
package includedir
