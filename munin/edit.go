package munin

import (
	"fmt"
	"slices"
	"strings"
)

// Update changes the file so that it alone says what m says: comments, blanks,
// order, and the lines of every setting that stays, remain. A new setting
// follows the others of its section, and a new host comes last. Neither m nor
// the file may have a problem that stops munin. An error leaves the file as it
// was.
func (f *File) Update(m *Master) error {
	want, err := m.valid()
	if err != nil {
		return err
	}
	var ps problems
	held := tree{}
	f.load(held, &ps)
	if len(ps) > 0 {
		return fmt.Errorf("munin: %s cannot be changed as it is: %w", f.Name, ps.join())
	}
	e := edit{File: &File{Name: f.Name, lines: slices.Clone(f.lines), statements: f.statements}, want: want, held: held, meant: held.canonical(), end: map[string]int{}}
	e.settings()
	e.missing()
	e.scan()
	if !e.says(want) {
		return fmt.Errorf("munin: %s cannot be changed: it ends inside a continued line, or has settings in a form that is not understood", f.Name)
	}
	*f = *e.File
	return nil
}

// edit is a change of a file's lines.
type edit struct {
	*File
	want, held tree
	meant      tree           // held, in our own words
	end        map[string]int // the last line of each place's own section
	live, had  map[int]bool   // statements that are heads of settings, after and before
}

// settings keeps, changes or drops the lines of each setting, and then of the
// heads that have none left.
func (e *edit) settings() {
	e.live, e.had = map[int]bool{}, map[int]bool{}
	prefix, head := "", -1
	for i, s := range e.statements {
		if s.head {
			prefix, head = s.text, i
		}
		if own := ownPlace(prefix); own != "" || prefix == "" {
			e.end[own] = s.last - 1
		}
		if !s.head {
			e.had[head] = true
			e.live[head] = e.setting(prefix, s) || e.live[head]
		}
	}
	for i, s := range e.statements {
		if s.head && e.had[i] && !e.live[i] && e.want[ownPlace(s.text)] == nil {
			e.replace(s, "")
		}
	}
}

// setting reports whether the setting stays, with its value or another.
func (e *edit) setting(prefix string, s statement) bool {
	groups, host, key, _ := place(prefix, s)
	name := placeName(groups, host)
	held, want := e.held[name].settings[key], e.want[name].values()[key]
	if held.at.line != s.first+1 || want.value == "" {
		e.replace(s, "")
		return false
	}
	if e.meant[name].values()[key].value != want.value {
		line := e.lines[s.first]
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		e.replace(s, indent+string(appendSetting(nil, s.key, want.value)))
	}
	return true
}

// replace puts text for the lines of a statement.
func (e *edit) replace(s statement, text string) {
	clear(e.lines[s.first:s.last])
	e.lines[s.first] = text
}

// ownPlace is the host or group that a section's head names, "" for one that
// names a service.
func ownPlace(head string) string {
	groups, host, key, ok := splitLong(join(head, "port"))
	if !ok || key != "port" {
		return ""
	}
	return placeName(groups, host)
}

// canonical returns t as it would be written.
func (t tree) canonical() tree { return t.master().tree(&problems{}) }

// missing adds the settings that the file did not have.
func (e *edit) missing() {
	after := map[int]string{} // text by the line that it follows
	var late []*section
	for _, s := range e.want.sorted() {
		news := section{groups: s.groups, host: s.host, settings: map[string]setting{}}
		for key, v := range s.settings {
			if _, ok := e.held[s.name()].values()[key]; !ok {
				news.settings[key] = v
			}
		}
		end, ok := e.end[s.name()]
		switch {
		case len(news.settings) == 0:
		case ok:
			after[end] += news.body()
		case s.name() == "":
			after[-1] = news.body()
		default:
			late = append(late, &news)
		}
	}
	lines := []string{after[-1]}
	for i, line := range e.lines {
		lines = append(lines, terminated(line, after[i]), after[i])
	}
	text := strings.Join(lines, "")
	if block := string(appendSections(nil, late)); block != "" {
		if text != "" {
			block = "\n" + block
		}
		text = terminated(text, block) + block
	}
	e.lines = slices.Collect(strings.Lines(text))
}

// terminated ends the last line of text, if other text is to follow.
func terminated(text, next string) string {
	if text != "" && next != "" && !strings.HasSuffix(text, "\n") {
		return text + "\n"
	}
	return text
}

// body is a section's settings, without its head.
func (s *section) body() string {
	text := string(appendSections(nil, []*section{s}))
	if len(s.groups) > 0 {
		_, text, _ = strings.Cut(text, "\n")
	}
	return text
}

// says reports whether the file says what is wanted, and nothing else.
func (e *edit) says(want tree) bool {
	var ps problems
	held := tree{}
	e.load(held, &ps)
	if len(ps) > 0 || len(held) != len(want) {
		return false
	}
	held = held.canonical()
	for name, s := range want {
		if len(diffSettings(name, held[name].values(), s.settings)) > 0 {
			return false
		}
	}
	return true
}
