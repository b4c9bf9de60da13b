package engine

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"server22.local/appliance/realtime/engineio/wire"
)

// pollTransport receives by GET and sends by POST.
type pollTransport struct {
	client *http.Client
	base   *http.Transport
	url    string
	header http.Header
	limit  int64 // of an incoming payload
	most   int64 // of an outgoing payload, 0 if the server did not say
	ended  context.Context
	end    context.CancelFunc
}

func openPolling(ctx context.Context, o Options, u *url.URL) (transport, handshake, error) {
	base := &http.Transport{
		DialContext:     o.DialContext,
		TLSClientConfig: o.TLS,
		Proxy:           o.Proxy,
		// One GET and one POST at a time.
		MaxIdleConnsPerHost: 2,
		IdleConnTimeout:     90 * time.Second,
	}
	t := &pollTransport{
		client: &http.Client{Transport: base, Jar: o.Jar},
		base:   base,
		url:    endpoint(u, o, Polling, "").String(),
		header: o.Header,
		limit:  o.MaxMessage,
	}
	t.ended, t.end = context.WithCancel(context.WithoutCancel(ctx))
	h, err := t.handshake(ctx)
	if err != nil {
		t.abort()
		return nil, h, err
	}
	t.url = endpoint(u, o, Polling, h.SID).String()
	t.most = h.MaxPayload
	return t, h, nil
}

func (t *pollTransport) handshake(ctx context.Context) (handshake, error) {
	batch, err := t.receive(ctx)
	if err != nil {
		return handshake{}, err
	}
	if len(batch) != 1 {
		// Nothing is to be sent before the client knows its session.
		return handshake{}, fmt.Errorf("server began with %d packets rather than one", len(batch))
	}
	return parseHandshake(batch[0])
}

func (t *pollTransport) name() string { return Polling }

func (t *pollTransport) abort() {
	t.end()
	t.base.CloseIdleConnections()
}

func (t *pollTransport) receive(ctx context.Context) ([]wire.Packet, error) {
	payload, err := t.do(ctx, http.MethodGet, nil)
	if err != nil {
		return nil, err
	}
	var batch []wire.Packet
	for p, err := range wire.Payload4(payload) {
		if err != nil {
			return nil, err
		}
		batch = append(batch, p)
	}
	return batch, nil
}

// send posts the batch, in as many payloads as the server's limit asks for.
func (t *pollTransport) send(ctx context.Context, batch []wire.Packet) error {
	var payload []byte
	for i := 0; i < len(batch); {
		payload = wire.AppendPayload4(payload[:0], batch[i])
		for i++; i < len(batch) && t.fits(len(payload)+1+encodedSize(batch[i])); i++ {
			payload = wire.AppendPayload4(payload, batch[i])
		}
		if _, err := t.do(ctx, http.MethodPost, payload); err != nil {
			return err
		}
	}
	return nil
}

func (t *pollTransport) fits(size int) bool { return t.most <= 0 || int64(size) <= t.most }

func encodedSize(p wire.Packet) int {
	if p.Binary {
		return 1 + base64.StdEncoding.EncodedLen(len(p.Data))
	}
	return 1 + len(p.Data)
}

func (t *pollTransport) bye(ctx context.Context) error {
	return t.send(ctx, []wire.Packet{{Type: wire.Close}})
}

func (t *pollTransport) do(ctx context.Context, method string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(t.ended, func() { cancel(ErrClosed) })
	defer stop()
	req, err := http.NewRequestWithContext(ctx, method, t.url, reader(method, body))
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	for key, values := range t.header {
		req.Header[http.CanonicalHeaderKey(key)] = values
	}
	if host := t.header.Get("Host"); host != "" {
		req.Host = host
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "text/plain; charset=UTF-8")
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, t.limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the server's answer: %w", err)
	case resp.StatusCode != http.StatusOK:
		return nil, httpError(resp.StatusCode, answer)
	case int64(len(answer)) > t.limit:
		return nil, errors.New("server's payload exceeds Options.MaxMessage")
	}
	return answer, nil
}

// reader gives a GET a body that is empty and cannot be read twice. Otherwise
// net/http would silently repeat a poll whose connection broke, though the
// server may have answered it already: what was in the answer would be lost
// in the middle of the session.
func reader(method string, body []byte) io.Reader {
	if method == http.MethodGet {
		return io.NopCloser(bytes.NewReader(nil))
	}
	return bytes.NewReader(body)
}

// maxExcerpt is how much of a page that is not Engine.IO's goes into an error.
const maxExcerpt = 200

func httpError(status int, body []byte) *HTTPError {
	var refusal struct {
		Code    *int   `json:"code"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(body, &refusal); err == nil && refusal.Code != nil {
		return &HTTPError{Status: status, Code: *refusal.Code, Message: refusal.Message}
	}
	text := strings.TrimSpace(string(body[:min(len(body), maxExcerpt)]))
	return &HTTPError{Status: status, Code: -1, Message: strings.ToValidUTF8(text, "")}
}
