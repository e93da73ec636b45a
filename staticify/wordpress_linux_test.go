package staticify_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/berryrack/berryrack/internal/lab"
	"github.com/berryrack/berryrack/staticify/internal/weblab"
)

func TestWordPressStart(t *testing.T) {
	lab.Need(t, weblab.Programs()...)
	start := time.Now()
	w := weblab.StartWordPress(t)
	fmt.Println("up", time.Since(start))
	b := w.Do(t, "GET", "/", "", nil)
	fmt.Println(len(b), time.Since(start))
	b = w.Do(t, "GET", weblab.PostPath(3), "", nil)
	fmt.Println(b[:2000])
	fmt.Println(w.Login(t), w.Questions(t))
}
