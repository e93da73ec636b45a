package rootfs

import "sync/atomic"

// Progress is how far a run has come. Functions that take a callback call it
// some hundred times at most, from one goroutine at a time, and once at the
// end; nil is allowed.
type Progress struct {
	Files, AllFiles int64 // entries to write, in all trees: done, and in all
	Bytes, AllBytes int64 // their content
}

// progressSteps bounds how often a callback is called.
const progressSteps = 200

// meter counts for a callback.
type meter struct {
	report          func(Progress)
	allFiles, files atomic.Int64
	allBytes, bytes atomic.Int64
	busy            atomic.Bool
	last            int64 // the step last reported; owned by who set busy
}

func (m *meter) expect(files, bytes int64) {
	m.allFiles.Add(files)
	m.allBytes.Add(bytes)
}

// done counts an entry that was written to some places, with its size.
func (m *meter) done(places int, size int64) {
	files := m.files.Add(int64(places))
	m.bytes.Add(int64(places) * size)
	if m.report == nil || !m.busy.CompareAndSwap(false, true) {
		return
	}
	if step := files * progressSteps / max(m.allFiles.Load(), 1); step > m.last {
		m.last = step
		m.report(m.now())
	}
	m.busy.Store(false)
}

// end reports the last state, when nothing is counted any more.
func (m *meter) end() {
	if m.report != nil {
		m.report(m.now())
	}
}

func (m *meter) now() Progress {
	return Progress{Files: m.files.Load(), AllFiles: m.allFiles.Load(), Bytes: m.bytes.Load(), AllBytes: m.allBytes.Load()}
}
