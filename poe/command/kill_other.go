//go:build !unix

package command

import "os/exec"

// killAll leaves it at killing the program itself.
func killAll(*exec.Cmd) {}
