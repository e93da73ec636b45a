package vlan

import "fmt"

// Namespace is a network namespace, in which its methods work over rtnetlink.
// They need CAP_NET_ADMIN there, but for Current. The zero Namespace is the
// calling thread's; to enter another takes CAP_SYS_ADMIN.
type Namespace struct {
	// FD is an open file descriptor of another namespace, as of
	// /run/netns/NAME. Zero is none.
	FD int
}

// ApplyError is the step that failed.
type ApplyError struct {
	// Step is the first that failed.
	Step Step
	// Err is why, with the kernel's own words where it has some.
	Err error
	// NotUndone are the steps done before that could not be taken back.
	NotUndone []Step
}

func (e *ApplyError) Error() string {
	rest := "all is as before"
	if len(e.NotUndone) > 0 {
		rest = fmt.Sprintf("%d steps could not be taken back, the last of them %q", len(e.NotUndone), e.NotUndone[0])
	}
	return fmt.Sprintf("vlan: %v: %v; %s", e.Step, e.Err, rest)
}

// Unwrap returns Err.
func (e *ApplyError) Unwrap() error { return e.Err }
