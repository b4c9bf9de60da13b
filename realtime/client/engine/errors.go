package engine

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed is the end of a connection that this side closed.
	ErrClosed = errors.New("connection closed")

	// ErrServerClosed is the end of a connection that the server closed, or
	// whose byte stream ended.
	ErrServerClosed = errors.New("connection closed by the server")

	// ErrPingTimeout is the end of a connection whose server has been silent
	// for pingInterval and pingTimeout together.
	ErrPingTimeout = errors.New("no ping from the server in time")

	// ErrQueueFull refuses a message while Options.SendQueue bytes wait.
	ErrQueueFull = errors.New("send queue is full")

	// ErrNotWritable refuses a volatile message: something else is still to
	// be written.
	ErrNotWritable = errors.New("connection is not writable at once")
)

// TooLargeError refuses a message that the server would not take: it would
// close the connection on receiving it.
type TooLargeError struct {
	Size  int   // of the message, in bytes
	Limit int64 // the server's maxPayload
}

// Error says by how much.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("message of %d bytes exceeds the server's limit of %d", e.Size, e.Limit)
}

// ReceiverError is the end of a connection whose [Receiver] refused a message.
type ReceiverError struct{ Err error }

// Error says what the receiver said.
func (e *ReceiverError) Error() string { return "refusing a message: " + e.Err.Error() }

// Unwrap returns what the receiver said.
func (e *ReceiverError) Unwrap() error { return e.Err }

// HTTPError is a refusal by the server (or by a proxy in between).
type HTTPError struct {
	Status  int    // of the HTTP response
	Code    int    // Engine.IO's error code, -1 without one
	Message string // Engine.IO's message, or the beginning of the body
}

// Error gives the status, and what came with it.
func (e *HTTPError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("server answered status %d", e.Status)
	}
	return fmt.Sprintf("server answered status %d: %s", e.Status, e.Message)
}
