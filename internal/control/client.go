package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"server22.local/appliance/internal/problem"
)

// ErrUnreachable is returned where no daemon listens.
var ErrUnreachable = errors.New("no appliance answers")

// Refusal is the daemon's no.
type Refusal struct{ problem.Problem }

// Hint is what helps.
func (r *Refusal) Hint() string { return r.Problem.Hint }

// Client asks the daemon behind a socket. Safe for concurrent use.
type Client struct {
	path string
	http http.Client
}

// NewClient returns a client for the socket at path. It connects when asked
// something.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", path)
		if err != nil {
			return nil, fmt.Errorf("%w at %s: %w", ErrUnreachable, path, bareOpError(err))
		}
		return conn, nil
	}
	return &Client{path: path, http: http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// bareOpError is the reason alone: the path is told already.
func bareOpError(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// Get reads a JSON document.
func (c *Client) Get(ctx context.Context, path string, into any) error {
	return c.Do(ctx, http.MethodGet, path, nil, into)
}

// Do sends a JSON document and reads the one that answers; either may be nil.
// A no is a *Refusal; no daemon is ErrUnreachable.
func (c *Client) Do(ctx context.Context, method, path string, send, into any) error {
	var body io.Reader
	if send != nil {
		text, err := json.Marshal(send)
		if err != nil {
			return fmt.Errorf("asking for %s: %w", path, err)
		}
		body = bytes.NewReader(text)
	}
	answer, err := c.Stream(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(answer).Decode(into); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

// Stream sends a body and returns the one that answers, which the caller
// closes.
func (c *Client) Stream(ctx context.Context, method, path string, body io.Reader) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://appliance"+path, body)
	if err != nil {
		return nil, fmt.Errorf("asking for %s: %w", path, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		return nil, refusal(resp)
	}
	return resp.Body, nil
}

// withoutURL removes net/http's own words, which name a URL that nobody typed.
func withoutURL(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

func refusal(resp *http.Response) error {
	var p problem.Problem
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&p); err != nil || p.Status == 0 {
		p = problem.New(resp.StatusCode, "", resp.Status, "")
	}
	return &Refusal{p}
}
