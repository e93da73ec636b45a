package zonesign

import (
	"fmt"
	"time"
)

const timeLayout = "20060102150405"

// ParseTime reads a point in time: as YYYYMMDDHHMMSS or RFC 3339, or from now on
// (or back) as in 720h or -1h. "" is the zero time.
func ParseTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{timeLayout, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	if distance, err := time.ParseDuration(text); err == nil {
		return now.Add(distance), nil
	}
	return time.Time{}, fmt.Errorf("%q is no time: want YYYYMMDDHHMMSS, RFC 3339, or a duration from now as 720h", text)
}
