package problem

import (
	"errors"
	"net/http"

	"server22.local/appliance/realtime"
)

// Refuse turns a problem into what the handler of an event returns, so that
// realtime takes it for an answer and not for a failure of the program. Other
// errors, and none, stay as they are.
func Refuse(err error) error {
	if p, ok := errors.AsType[Problem](err); ok {
		return realtime.Refuse(p.Error(), p)
	}
	return err
}

// Refusal is a refused request on a socket.
type Refusal struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// Reason is the problem's code, the same word as over HTTP.
	Reason string `json:"reason,omitempty"`
}

// Ack makes {"error": {code, message, hint?, reason?}} of an error, the one
// argument of the acknowledgement of a refused request; it is the AckError of
// realtime.Options. What strangers should not know becomes "internal error".
func Ack(err error) any {
	return map[string]Refusal{"error": NewRefusal(err)}
}

// NewRefusal says what strangers may know of an error.
func NewRefusal(err error) Refusal {
	if p, ok := errors.AsType[Problem](err); ok {
		return Refusal{p.Status, p.Error(), p.Hint, p.Code}
	}
	if r, ok := errors.AsType[*realtime.Refusal](err); ok {
		if p, ok := r.Data.(Problem); ok {
			return NewRefusal(p)
		}
		return Refusal{Code: http.StatusForbidden, Message: r.Message}
	}
	if a, ok := errors.AsType[*realtime.ArgumentError](err); ok {
		return Refusal{http.StatusBadRequest, a.Error(), "see /docs/ for what the event takes", "bad_argument"}
	}
	return Refusal{Code: http.StatusInternalServerError, Message: "internal error"}
}
