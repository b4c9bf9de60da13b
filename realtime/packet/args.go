package packet

import "fmt"

// Args are the arguments of an event or an acknowledgement.
type Args []Value

// Scan decodes the first arguments into what the pointers point to. Where
// there are fewer arguments, the rest is left as it is. The error is an
// *ArgumentError.
func (a Args) Scan(into ...any) error {
	for i, v := range into[:min(len(into), len(a))] {
		if err := a[i].Decode(v); err != nil {
			return &ArgumentError{Index: i, Err: err}
		}
	}
	return nil
}

// Any returns the arguments as they are emitted again.
func (a Args) Any() []any {
	values := make([]any, len(a))
	for i, v := range a {
		values[i] = v
	}
	return values
}

// ArgumentError says that an argument from the other side does not fit.
type ArgumentError struct {
	Index int // from 0
	Err   error
}

// Error counts from 1, as people do.
func (e *ArgumentError) Error() string {
	return fmt.Sprintf("argument %d: %v", e.Index+1, e.Err)
}

// Unwrap returns the cause.
func (e *ArgumentError) Unwrap() error { return e.Err }
