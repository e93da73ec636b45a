package rootfs

// Push is what one Pi's root gives to others.
type Push struct {
	From Root   // the root that has it
	Path string // relative to the root: a file, or a tree
	// To are the roots that are to have it too. A golden tree may be among
	// them, so that new roots have it as well.
	To []Root
	// Golden is the tree whose version of a file may be replaced; "" for none.
	Golden string
}

// Conflict is a path that Push leaves alone.
type Conflict struct {
	Path   string // relative to the root
	Reason string // in a few words
}

// String returns the conflict as one line.
func (c Conflict) String() string { return quote(c.Path) + ": " + c.Reason }

// stamp is the state of a file that Push has put somewhere.
type stamp struct{ Size, Sec, Nsec int64 }
