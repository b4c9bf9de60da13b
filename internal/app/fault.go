package app

// Fault is an error that a user can do something about.
type Fault struct {
	Err    error
	Advice string // one step that helps
}

// Error is the error's own text.
func (f *Fault) Error() string { return f.Err.Error() }

// Unwrap gives the error.
func (f *Fault) Unwrap() error { return f.Err }

// Hint is the advice.
func (f *Fault) Hint() string { return f.Advice }
