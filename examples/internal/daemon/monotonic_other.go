//go:build !linux

package daemon

import "time"

// monotonic returns nothing: systemd is Linux'.
func monotonic() time.Duration { return 0 }
