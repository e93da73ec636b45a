package poe

// Path returns the file.
func (j *Journal) Path() string { return j.path }

// OnStep has each step of writing the journal's file told.
func (j *Journal) OnStep(step func(string)) { j.step = step }
