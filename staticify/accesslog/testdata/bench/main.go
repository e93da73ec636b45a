// Bench writes a log (write LINES), or counts one's pages (count FILE) as staticify does, and says how fast.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/berryrack/berryrack/staticify/accesslog"
	"github.com/berryrack/berryrack/staticify/topk"
	"github.com/berryrack/berryrack/staticify/zipflog"
)

func main() {
	var err error
	switch os.Args[1] {
	case "write":
		err = write(os.Args[2])
	case "count":
		err = count(os.Args[2])
	}
	if err != nil {
		log.Fatal(err)
	}
}

func write(lines string) error {
	n, err := strconv.Atoi(lines)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(os.Stdout, 1<<20)
	g := zipflog.New(1)
	var line []byte
	for range n {
		line = g.AppendCombined(line[:0])
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return w.Flush()
}

// passes is how often count reads the log. Nothing is said about the first, which fills the caches.
const passes = 60

// stretch is how many lines are timed at once: short enough to fall between what else the machine does.
const stretch = 100_000

// count prints lines for each second of processor time, of all threads: of the log put together from the fastest pass
// through each of its stretches, and of the pass in the middle.
func count(path string) error {
	s := topk.New(8192)
	var least, sums []time.Duration
	for pass := range passes {
		r, err := accesslog.Open(path, accesslog.Format{})
		if err != nil {
			return err
		}
		took, err := timed(r, s)
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
		switch pass {
		case 0:
			continue
		case 1:
			least = slices.Clone(took)
		}
		for i := range took {
			least[i] = min(least[i], took[i])
		}
		sums = append(sums, sum(took))
	}
	if len(least) == 0 {
		return fmt.Errorf("%s: want at least %d lines", path, stretch)
	}
	slices.Sort(sums)
	lines := float64(stretch * len(least))
	_, err := fmt.Printf("%.0f %.0f\n", lines/sum(least).Seconds(), lines/sums[len(sums)/2].Seconds())
	return err
}

func sum(all []time.Duration) (total time.Duration) {
	for _, d := range all {
		total += d
	}
	return total
}

// timed counts the pages of a log, and returns the processor time of each stretch.
func timed(r *accesslog.Reader, s *topk.Summary) ([]time.Duration, error) {
	var took []time.Duration
	start := processorTime()
	for n := 1; ; n++ {
		h, err := r.Next()
		if err == io.EOF {
			return took, nil
		}
		if err != nil {
			return nil, err
		}
		s.Add(h.Target, topk.Client(h.Client))
		if n%stretch == 0 {
			now := processorTime()
			took, start = append(took, now-start), now
		}
	}
}

func processorTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		log.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
