package cli

import (
	"io"

	"github.com/schollz/progressbar/v3"
)

// Bar returns a bar for long work, that is seen on a terminal only. A total of
// -1 is not known yet.
func Bar(w io.Writer, total int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total, progressbar.OptionSetWriter(w), progressbar.OptionSetVisibility(IsTerminal(w)),
		progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
}
