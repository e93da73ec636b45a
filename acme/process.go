package acme

// A process is one run of a program, told from later ones with its number by
// when it began. The zero value is an unknown one.
type process struct {
	PID   int    `json:"pid,omitzero"`
	Began uint64 `json:"began,omitzero"` // ticks after the boot
	Host  string `json:"host,omitzero"`  // on another one nothing can be said of it
	Boot  string `json:"boot,omitzero"`
	Space string `json:"space,omitzero"` // PID namespace: in another one the number means nothing
}

type processState int

const (
	unknown processState = iota
	running
	ended
)
