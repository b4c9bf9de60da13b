package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"server22.local/appliance/internal/bus"
	"server22.local/appliance/internal/problem"
	"server22.local/appliance/realtime/history"
)

// serveTopicList lists the topics.
func (a *API) serveTopicList(w http.ResponseWriter, r *http.Request) {
	if a.allow(w, r, "GET", http.MethodGet) {
		a.answer(w, r, map[string]any{"topics": a.cfg.Bus.Topics(r.URL.Query().Get("prefix"))})
	}
}

// serveTopic reads, streams, publishes or clears a topic.
func (a *API) serveTopic(w http.ResponseWriter, r *http.Request) {
	topic := r.PathValue("topic")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		a.read(w, r, topic)
	case http.MethodPut, http.MethodPost:
		a.publish(w, r, topic)
	case http.MethodDelete:
		a.clear(w, r, topic)
	default:
		a.allow(w, r, "GET, PUT, POST, DELETE")
	}
}

// read gives the last value, or a stream, or what came since.
func (a *API) read(w http.ResponseWriter, r *http.Request, topic string) {
	ask, err := parseAsk(r)
	if err == nil {
		err = bus.CheckFilter(topic)
	}
	switch {
	case err != nil:
		a.refuse(w, r, err)
	case ask.poll:
		a.poll(w, r, topic, ask)
	case ask.form != nil:
		a.stream(w, r, topic, ask)
	case bus.HasWildcard(topic):
		a.snapshot(w, r, topic)
	default:
		a.last(w, r, topic)
	}
}

// ask is what a reader wants.
type ask struct {
	form  *form
	poll  bool
	since history.Since
	limit int
}

func parseAsk(r *http.Request) (ask, error) {
	q := r.URL.Query()
	var got ask
	var err error
	name := q.Get("stream")
	if name == "" && strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		name = "sse"
	}
	if name != "" {
		if got.form = forms[name]; got.form == nil {
			return got, badRequest("bad_stream", fmt.Sprintf("there is no stream %q", name), "stream=sse, stream=json or stream=raw")
		}
	}
	since := q.Get("since")
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		since = id // a browser comes back
	}
	if got.since, err = history.ParseSince(since); err != nil {
		return got, badRequest("bad_since", err.Error(), "since=41, since=10m, since=all")
	}
	if text := q.Get("limit"); text != "" {
		if got.limit, err = strconv.Atoi(text); err != nil || got.limit < 1 {
			return got, badRequest("bad_limit", "limit is not a number above 0", "limit=100")
		}
	}
	if got.poll, err = yes(q.Get("poll")); err != nil {
		return got, err
	}
	// Asking for the past without a stream is asking once.
	got.poll = got.poll || got.form == nil && got.since.Given
	return got, nil
}

func yes(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "", "0", "false", "no":
		return false, nil
	case "1", "true", "yes":
		return true, nil
	}
	return false, badRequest("bad_flag", fmt.Sprintf("%q is neither yes nor no", text), "1 or 0")
}

// snapshot gives the last value of every topic that matches.
func (a *API) snapshot(w http.ResponseWriter, r *http.Request, filter string) {
	messages := []*bus.Message{}
	for _, info := range a.cfg.Bus.Topics("") {
		if !bus.Match(filter, info.Topic) {
			continue
		}
		if m, err := a.cfg.Bus.Get(info.Topic); err == nil { // else it was cleared meanwhile
			messages = append(messages, m)
		}
	}
	a.answer(w, r, map[string]any{"messages": messages})
}

// last gives a topic's last value as it is: a string or bytes raw, anything
// else as JSON.
func (a *API) last(w http.ResponseWriter, r *http.Request, topic string) {
	m, err := a.cfg.Bus.Get(topic)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", contentType(m.Value))
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", fmt.Sprintf(`"%d"`, m.Seq))
	h.Set("X-Seq", strconv.FormatUint(m.Seq, 10))
	h.Set("X-Time", strconv.FormatInt(m.Time.UnixMilli(), 10))
	if m.ClockUnset {
		h.Set("X-Clock", "false")
	}
	// Anybody may have put it here, as any type: it must not act as one of our
	// pages.
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(m.Value.Raw()))
}

func contentType(v bus.Value) string {
	_, text := v.AsText()
	switch {
	case v.Type != "":
		return v.Type
	case v.JSON == nil:
		return "application/octet-stream"
	case text:
		return "text/plain; charset=utf-8"
	default:
		return "application/json"
	}
}

// publish takes the body as a value. PUT retains it.
func (a *API) publish(w http.ResponseWriter, r *http.Request, topic string) {
	p, err := a.publication(w, r, topic)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	type result struct {
		receipt bus.Receipt
		err     error
	}
	done := make(chan result, 1)
	a.cfg.Bus.Publish(p, func(receipt bus.Receipt, err error) { done <- result{receipt, err} })
	select {
	case got := <-done:
		if got.err != nil {
			a.refuse(w, r, got.err)
			return
		}
		a.answer(w, r, newReceipt(got.receipt))
	case <-r.Context().Done():
	}
}

func (a *API) publication(w http.ResponseWriter, r *http.Request, topic string) (bus.Publication, error) {
	p := bus.Publication{Topic: topic}
	if err := a.writers.check(address(r)); err != nil {
		return p, err
	}
	var errs [3]error
	q := r.URL.Query()
	p.Retain, errs[0] = yes(q.Get("retain"))
	p.Persist, errs[1] = yes(q.Get("persist"))
	p.Volatile, errs[2] = yes(q.Get("volatile"))
	if err := errors.Join(errs[:]...); err != nil {
		return p, err
	}
	p.Retain = p.Retain || r.Method == http.MethodPut
	body, err := a.body(w, r)
	if err != nil {
		return p, err
	}
	p.Value = bus.ParseValue(body)
	if keepsType(p.Value, body) {
		p.Value.Type = mediaType(r.Header.Get("Content-Type"))
	}
	return p, nil
}

func (a *API) body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > a.cfg.MaxBody {
		return nil, tooLarge(a.cfg.MaxBody)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, a.cfg.MaxBody))
	if err != nil && !isTooLarge(err) {
		err = badRequest("no_body", "the body did not arrive whole", "send it again")
	}
	return body, err
}

func tooLarge(most int64) problem.Problem {
	return problem.New(http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("more than %d bytes", most),
		"send it in parts, or raise realtime.max_payload")
}

// keepsType says whether the value will be given back as the body it came in:
// only then the body's type is true of it.
func keepsType(v bus.Value, body []byte) bool {
	_, text := v.AsText()
	return (v.JSON == nil || text) && bytes.Equal(v.Raw(), body)
}

// mediaType returns the type of a body, where it says something: curl -d calls
// everything a form.
func mediaType(header string) string {
	name, params, err := mime.ParseMediaType(header)
	if err != nil || name == "application/x-www-form-urlencoded" || name == "application/json" || len(header) > 200 {
		return ""
	}
	return mime.FormatMediaType(name, params)
}

type receipt struct {
	Seq   uint64 `json:"seq"`
	Time  int64  `json:"time"`
	Clock *bool  `json:"clock,omitempty"`
}

func newReceipt(r bus.Receipt) receipt {
	got := receipt{Seq: r.Seq, Time: r.Time.UnixMilli()}
	if r.ClockUnset {
		got.Clock = new(bool)
	}
	return got
}

func (a *API) clear(w http.ResponseWriter, r *http.Request, topic string) {
	if err := a.writers.check(address(r)); err != nil {
		a.refuse(w, r, err)
		return
	}
	if err := a.cfg.Bus.Clear(topic); err != nil {
		a.refuse(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
