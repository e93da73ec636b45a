package failover

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/berryrack/berryrack/examples/internal/failover/manifest"
	"github.com/berryrack/berryrack/examples/internal/strictyaml"
)

// Mirror is a tree of files that is compared by manifests: served by both hosts at
// URL, or two local files.
type Mirror struct {
	URL      string `yaml:"url"`      // of the tree
	Manifest string `yaml:"manifest"` // its path below URL; empty: MANIFEST
	Sample   int    `yaml:"sample"`   // files that the standby is asked for; 0: none
	Primary  string `yaml:"primary"`  // file, in place of URL
	Standby  string `yaml:"standby"`  // file, in place of URL

	base *url.URL
}

const (
	defaultManifest = "MANIFEST"
	manifestTimeout = 15 * time.Minute // for one manifest to be fetched
	maxSample       = 100_000
)

func (m *Mirror) check(d *strictyaml.Document, path string) {
	local := m.Primary != "" && m.Standby != ""
	if local == (m.URL != "") || (m.Primary == "") != (m.Standby == "") {
		d.Problem(path, "want either url, or the manifests' files as primary and standby")
		return
	}
	if m.Sample < 0 || m.Sample > maxSample || m.Sample > 0 && local {
		d.Problem(path+".sample", "want up to %d files, and url", maxSample)
	}
	if local {
		return
	}
	base, err := parseURL(strings.TrimSuffix(m.URL, "/") + "/")
	if err != nil {
		d.Problem(path+".url", "%v", err)
	}
	m.base = base
	if m.Manifest == "" {
		m.Manifest = defaultManifest
	}
}

// String is what stands before a path.
func (m *Mirror) String() string {
	if m.base == nil {
		return m.Standby + ": "
	}
	return m.base.String()
}

// compareMirrors compares the manifests of all mirrors.
func (s *Site) compareMirrors(ctx context.Context, progress func()) (Answer, error) {
	a := Answer{Question: QuestionMirrors, State: Same}
	counts := map[State]int{}
	for i := range s.Mirrors {
		m := &s.Mirrors[i]
		err := s.compareMirror(ctx, m, func(item Item) {
			item.What = m.String() + item.What
			counts[item.State]++
			a.add(item)
			progress()
		})
		if err != nil {
			return Answer{}, fmt.Errorf("mirrors[%d]: %w", i, err)
		}
	}
	a.Summary = fmt.Sprintf("%d files are the same", counts[Same])
	a.sum(counts)
	return a, nil
}

// compareMirror calls found for each file.
func (s *Site) compareMirror(ctx context.Context, m *Mirror, found func(Item)) error {
	primary, standby := s.origin("primary", s.Primary[0], 1), s.origin("standby", s.Standby[0], s.Pages.Parallel)
	defer primary.close()
	defer standby.close()
	var sorters [2]manifest.Sorter
	defer sorters[0].Close()
	defer sorters[1].Close()
	for i, from := range []struct {
		host *origin
		file string
	}{{primary, m.Primary}, {standby, m.Standby}} {
		if err := s.readManifest(ctx, from.host, m, from.file, &sorters[i]); err != nil {
			return err
		}
	}
	sample := &manifest.Sample{Size: m.Sample, From: &sorters[0]}
	err := manifest.Compare(sample, &sorters[1], func(path, difference string) {
		item := Item{What: path, State: Same, Detail: difference}
		if difference != "" {
			item.State = Different
		}
		found(item)
	})
	if err != nil {
		return err
	}
	return s.askForFiles(ctx, standby, m, sample.Kept, found)
}

// readManifest reads a mirror's manifest from a file or a host.
func (s *Site) readManifest(ctx context.Context, from *origin, m *Mirror, path string, into *manifest.Sorter) error {
	ctx, cancel := context.WithTimeout(ctx, manifestTimeout)
	defer cancel()
	name, body, err := openManifest(ctx, from, m, path)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := into.Read(manifest.NewReader(name, body)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func openManifest(ctx context.Context, from *origin, m *Mirror, path string) (string, io.ReadCloser, error) {
	if path != "" {
		f, err := os.Open(path)
		return path, f, err
	}
	where := m.base.JoinPath(m.Manifest).String()
	response, err := from.do(ctx, http.MethodGet, where)
	if err != nil {
		return "", nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return "", nil, fmt.Errorf("%s: %s: %s", from, where, status(response))
	}
	return from.role + " " + where, response.Body, nil
}

// askForFiles asks the standby for files, and compares their sizes: a manifest that
// was copied says nothing about the files beside it.
func (s *Site) askForFiles(ctx context.Context, standby *origin, m *Mirror, files []manifest.Entry, found func(Item)) error {
	results := make([]Item, len(files))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.Pages.Parallel)
	for i, e := range files {
		group.Go(func() error {
			results[i] = askForFile(ctx, standby, m.base, e)
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, item := range results {
		if item.State != Same {
			found(item)
		}
	}
	return nil
}

func askForFile(ctx context.Context, standby *origin, base *url.URL, e manifest.Entry) Item {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	u := *base
	u.Path += e.Path
	response, err := standby.do(ctx, http.MethodHead, u.String())
	if err != nil {
		return Item{e.Path, Different, err.Error()}
	}
	response.Body.Close()
	switch {
	case response.StatusCode != http.StatusOK:
		return Item{e.Path, Different, "the standby answers " + status(response)}
	case e.Size >= 0 && response.ContentLength < 0:
		return Item{e.Path, Unknown, "the standby does not say how large it is"}
	case e.Size >= 0 && response.ContentLength != e.Size:
		return Item{e.Path, Different, fmt.Sprintf("the standby gives %d bytes of %d", response.ContentLength, e.Size)}
	}
	return Item{e.Path, Same, ""}
}
