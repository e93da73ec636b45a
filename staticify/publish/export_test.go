package publish

import "time"

// Clock sets what the Publisher takes for the time.
func (p *Publisher) Clock(now func() time.Time) { p.now = now }

// Step is called at each step of a Publish.
func (p *Publisher) Step(step func(string)) { p.step = step }
