// Package problem writes refused HTTP requests as RFC 9457 problem details,
// with a hint that says what to do about it.
package problem

import (
	"encoding/json"
	"net/http"
)

// ContentType is the media type of a problem document (RFC 9457 §3).
const ContentType = "application/problem+json"

// Problem is one refusal. Code is ours: a short word that stays the same
// between versions and is also the code of a refused Socket.IO request, so
// that a program may branch on it.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail,omitempty"`
	Hint   string `json:"hint,omitempty"`
}

// New returns a problem of an HTTP status, titled with the status' own text.
func New(status int, code, detail, hint string) Problem {
	return Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: detail, Hint: hint}
}

// Error makes a problem an error, so that what refuses may return it.
func (p Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Detail
}

// Write answers the request with the problem. It is the last word on w.
func Write(w http.ResponseWriter, p Problem) {
	if p.Status == 0 {
		p.Status = http.StatusInternalServerError
	}
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	h := w.Header()
	h.Del("Content-Length")
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	// A client that has gone is not an error of ours.
	_ = json.NewEncoder(w).Encode(p)
}
