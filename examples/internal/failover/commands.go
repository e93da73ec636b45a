package failover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/berryrack/berryrack/examples/internal/atomicfile"
	"github.com/berryrack/berryrack/examples/internal/cli"
	"github.com/berryrack/berryrack/examples/internal/failover/manifest"
)

// Check looks at pages, mirrors, services and TTLs, remembers what it found, and
// prints it.
func (s *Site) Check(ctx context.Context, asJSON bool, std cli.Streams) error {
	bar := cli.Bar(std.Err, -1)
	progress := func() { bar.Add(1) }
	var answers []Answer
	for _, question := range []struct {
		name  string
		asked bool
		look  func() (Answer, error)
	}{
		{QuestionPages, len(s.Pages.Logs) > 0, func() (Answer, error) { return s.comparePages(ctx, progress) }},
		{QuestionMirrors, len(s.Mirrors) > 0, func() (Answer, error) { return s.compareMirrors(ctx, progress) }},
		{QuestionServices, len(s.Services) > 0, func() (Answer, error) { return s.checkServices(ctx, "standby", s.Standby) }},
		{QuestionTTL, s.zone != "", func() (Answer, error) { return s.checkTTLAlone(ctx) }},
	} {
		if !question.asked {
			continue
		}
		a, err := question.look()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			a = Answer{Question: question.name, State: Failed, Summary: err.Error()}
		}
		a.At = s.now()
		answers = append(answers, a)
	}
	bar.Finish()
	if len(answers) == 0 {
		return &cli.UsageError{Err: errors.New("nothing to check is configured: want pages, mirrors, services or dns")}
	}
	if err := s.remember(ctx, answers); err != nil {
		return err
	}
	return s.tell(newReport(answers, nil), asJSON, std)
}

// checkTTLAlone is checkTTL for who does not hold the lock.
func (s *Site) checkTTLAlone(ctx context.Context) (a Answer, err error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return a, err
	}
	defer unlock()
	a, _, err = s.checkTTL(ctx)
	return a, err
}

func (s *Site) tell(r Report, asJSON bool, std cli.Streams) error {
	if err := r.print(std.Out, asJSON, s.now()); err != nil {
		return err
	}
	return r.err()
}

// Replay puts a load on the standby; a rate or duration of 0 is the configuration's.
func (s *Site) Replay(ctx context.Context, rate float64, duration time.Duration, asJSON bool, std cli.Streams) error {
	if len(s.Pages.Logs) == 0 {
		return &cli.UsageError{Err: errors.New("pages.logs is not configured: there is nothing to replay")}
	}
	if !validRate(rate) || duration < 0 {
		return &cli.UsageError{Err: fmt.Errorf("want a rate from %v to %d, and a positive duration", minRate, maxRate)}
	}
	if rate > 0 {
		s.Load.Rate = rate
	}
	if duration > 0 {
		s.Load.Duration = duration
	}
	bar := cli.Bar(std.Err, -1)
	a, err := s.load(ctx, func() { bar.Add(1) })
	bar.Finish()
	if err != nil {
		return err
	}
	a.At = s.now()
	if err := s.remember(ctx, []Answer{a}); err != nil {
		return err
	}
	return s.tell(newReport([]Answer{a}, nil), asJSON, std)
}

// Report prints what check, load and flip found last. What is older than maxAge
// counts as unknown.
func (s *Site) Report(maxAge time.Duration, asJSON bool, std cli.Streams) error {
	found := map[string]Answer{}
	journal := &Journal{}
	if err := errors.Join(s.restore("answers.json", &found), s.restore("journal.json", journal)); err != nil {
		return err
	}
	if !journal.away() {
		journal = nil
	}
	var answers []Answer
	for _, question := range questions {
		if !s.asks(question) {
			continue
		}
		a, ok := found[question]
		switch {
		case !ok:
			a = Answer{Question: question, State: Unknown, Summary: "never looked at"}
		case a.State == Same && s.now().Sub(a.At) > maxAge:
			a.State = Unknown
		}
		answers = append(answers, a)
	}
	return s.tell(newReport(answers, journal), asJSON, std)
}

// asks reports whether the configuration has something to a question.
func (s *Site) asks(question string) bool {
	switch question {
	case QuestionPages, QuestionLoad:
		return len(s.Pages.Logs) > 0
	case QuestionMirrors:
		return len(s.Mirrors) > 0
	case QuestionServices:
		return len(s.Services) > 0
	}
	return s.zone != ""
}

// Manifest lists the files below dir, to a file or, with no name, to standard output.
// The file may be below dir, where a mirror has it: it does not list itself.
func Manifest(ctx context.Context, dir, file string, std cli.Streams) error {
	bar := cli.Bar(std.Err, -1)
	defer bar.Finish()
	progress := func() { bar.Add(1) }
	if file == "" {
		return manifest.Write(ctx, std.Out, dir, progress)
	}
	return atomicfile.Write(file, func(f *os.File) error {
		self, err := f.Stat()
		if err != nil {
			return err
		}
		own := []fs.FileInfo{self}
		if former, err := os.Stat(file); err == nil {
			own = append(own, former)
		}
		return errors.Join(manifest.Write(ctx, f, dir, progress, own...), f.Chmod(0o644))
	})
}
