package rootfs

// Kind is what a Change does to a path.
type Kind int

const (
	New      Kind = iota // is not in the root: a file, or a whole new tree
	Replace              // has other content or another type, or is linked otherwise
	Metadata             // has another owner, mode, time or extended attribute
	Delete               // is not in the golden tree
)

// Counts sums up a plan.
type Counts struct {
	New, Replaced, Metadata, Deleted int   // paths; a new or deleted tree counts each of its entries
	Bytes                            int64 // content to be written
}
