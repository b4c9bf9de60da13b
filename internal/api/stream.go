package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"server22.local/appliance/internal/bus"
)

// form is how a stream writes messages.
type form struct {
	contentType string
	append      func(b []byte, m *bus.Message) []byte
	// alive is written now and then, so that what lies between does not take a
	// quiet stream for a dead one.
	alive string
	// last is written when the stream ends though the client is there.
	last func(err error) string
}

// forms are the streams by name. In JSON each message is an object in a line,
// which says the topic; raw is the value alone, each with a line's end.
var forms = map[string]*form{
	"sse": {
		contentType: "text/event-stream", append: appendEvent, alive: ":\n\n",
		last: func(err error) string { return "event: end\ndata: {\"reason\":" + strconv.Quote(err.Error()) + "}\n\n" },
	},
	"json": {
		contentType: "application/x-ndjson",
		append:      func(b []byte, m *bus.Message) []byte { return append(append(b, m.JSON()...), '\n') },
	},
	"raw": {
		contentType: "text/plain; charset=utf-8",
		append:      func(b []byte, m *bus.Message) []byte { return append(append(b, m.Value.Raw()...), '\n') },
	},
}

// appendEvent writes a message as a server-sent event. Its JSON has no line's
// end, so that one data line is enough.
func appendEvent(b []byte, m *bus.Message) []byte {
	b = append(b, "id: "...)
	b = strconv.AppendUint(b, m.Seq, 10)
	b = append(b, "\ndata: "...)
	b = append(b, m.JSON()...)
	return append(b, '\n', '\n')
}

const (
	// aliveEvery is less than what proxies and phones take for dead.
	aliveEvery = 20 * time.Second
	// writeWait is how long a client may take to accept what is written.
	writeWait = 30 * time.Second
)

// poll gives what came since, and ends.
func (a *API) poll(w http.ResponseWriter, r *http.Request, filter string, q ask) {
	found, err := a.cfg.Bus.History(r.Context(), filter, q.since, q.limit)
	if err != nil && !isNotFound(err) { // a topic that has nothing yet
		a.refuse(w, r, err)
		return
	}
	f := q.form
	if f == nil {
		f = forms["json"]
	}
	begin(w, f)
	var b []byte
	for _, m := range found {
		b = f.append(b, m)
	}
	_, _ = w.Write(b) // a client that has gone is no error of ours
}

func begin(w http.ResponseWriter, f *form) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // for a proxy that would collect
	h.Set("X-Content-Type-Options", "nosniff")
}

// stream gives what came since, or what is retained, and then everything that
// comes, until one of the two sides ends.
func (a *API) stream(w http.ResponseWriter, r *http.Request, filter string, q ask) {
	s := a.cfg.Bus.NewStream(0)
	defer s.Close()
	if err := s.Subscribe(r.Context(), []string{filter}, q.since); err != nil {
		a.refuse(w, r, err)
		return
	}
	ctx, cancel := a.until(r.Context())
	defer cancel()
	begin(w, q.form)
	out := writer{w: w, control: http.NewResponseController(w)}
	if r.Method == http.MethodHead || out.write(nil) != nil {
		return
	}
	for {
		messages, err := next(ctx, s)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			err = out.write([]byte(q.form.alive))
		case err != nil:
			if q.form.last != nil && r.Context().Err() == nil {
				_ = out.write([]byte(q.form.last(reason(err)))) // it ends anyway
			}
			return
		default:
			err = out.write(render(q.form, messages))
		}
		if err != nil {
			return // the client has gone, or does not read
		}
	}
}

func render(f *form, messages []*bus.Message) []byte {
	var b []byte
	for _, m := range messages {
		b = f.append(b, m)
	}
	return b
}

// next waits for messages, for as long as a stream may be silent.
func next(ctx context.Context, s *bus.Stream) ([]*bus.Message, error) {
	wait, cancel := context.WithTimeout(ctx, aliveEvery)
	defer cancel()
	messages, err := s.Next(wait)
	if err != nil && ctx.Err() != nil {
		return nil, errEnding
	}
	return messages, err
}

var errEnding = errors.New("the server ends")

func reason(err error) error {
	if errors.Is(err, bus.ErrSlow) {
		return bus.ErrSlow
	}
	return errEnding
}

// until returns a context that ends with the request, or when the server does.
func (a *API) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-a.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// writer writes at once, and not for ever.
type writer struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (o writer) write(b []byte) error {
	// A server without deadlines (httptest's recorder) goes without.
	if err := o.control.SetWriteDeadline(time.Now().Add(writeWait)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if len(b) > 0 {
		if _, err := o.w.Write(b); err != nil {
			return err
		}
	}
	return o.control.Flush()
}
