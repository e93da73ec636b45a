package tour

import (
	"bytes"
	"image"
	_ "image/png"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/berryrack/berryrack/internal/lab"
)

// TestBrowser looks at the page in a real browser: it is drawn, and the
// console stays empty.
func TestBrowser(t *testing.T) {
	chromium := lab.Program(t, "chromium")
	if !lab.Isolated(t) {
		return
	}
	dir := t.TempDir()
	tour := Tour{Dir: dir, Out: &bytes.Buffer{}}
	page, err := tour.Run(t.Context())
	require.NoError(t, err)
	shot := filepath.Join(dir, "page.png")
	browse := exec.CommandContext(t.Context(), chromium, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
		"--user-data-dir="+filepath.Join(dir, "profile"), "--window-size=1000,4000", "--screenshot="+shot, "file://"+page)
	browse.Env = append(os.Environ(), "HOME="+dir)
	output, err := browse.CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.NotContains(t, string(output), "CONSOLE", "what the page wrote to the console")
	f, err := os.Open(shot)
	require.NoError(t, err)
	defer f.Close()
	drawn, _, err := image.Decode(f)
	require.NoError(t, err)
	require.Greater(t, colours(drawn), 20, "an empty page has one colour")
}

// colours counts the colours of a picture, up to a hundred.
func colours(picture image.Image) int {
	seen := map[any]bool{}
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y && len(seen) < 100; y += 3 {
		for x := bounds.Min.X; x < bounds.Max.X; x += 3 {
			seen[picture.At(x, y)] = true
		}
	}
	return len(seen)
}
