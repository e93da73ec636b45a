package main

import (
	"fmt"
	"os/exec"
	"strings"
)

// ip runs busybox' ip.
func ip(args ...string) error {
	output, err := exec.Command("/bin/busybox", append([]string{"ip"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, output)
	}
	return nil
}
