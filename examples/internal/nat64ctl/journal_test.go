package nat64ctl

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const patience = 20 * time.Second

// A journal is a log in JSON that can be waited for.
type journal struct {
	lines chan map[string]any
}

func (j *journal) Write(p []byte) (int, error) {
	line := map[string]any{}
	if err := json.Unmarshal(p, &line); err != nil {
		return 0, err
	}
	j.lines <- line
	return len(p), nil
}

func (j *journal) wait(t *testing.T, message string) map[string]any {
	t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case line := <-j.lines:
			if line["msg"] == message {
				return line
			}
		case <-deadline:
			require.FailNow(t, "never logged", message)
		}
	}
}
