package engineio

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"server22.local/appliance/realtime/engineio/wire"
)

// pollingLinger is how long the farewell of a polling session waits to be
// fetched.
const pollingLinger = 30 * time.Second

// pollUnderWay is how long a close packet waits for a poll that may have been
// sent at the same time.
const pollUnderWay = 50 * time.Millisecond

// givenUp is how soon a request whose client has hung up already is known as
// such.
const givenUp = 2 * time.Millisecond

// poll is a GET that waits for packets.
type poll struct {
	items   []item
	refused *ConnectionError // instead of items, but for its request
	ready   chan struct{}
}

// serveGet answers a poll, waiting for packets if there are none.
func (s *Socket) serveGet(w http.ResponseWriter, r *http.Request, q *query) *ConnectionError {
	p := &poll{ready: make(chan struct{}, 1)}
	s.mu.Lock()
	switch {
	case s.state == gone: // since the session was looked up
		s.mu.Unlock()
		return refuse(r, CodeUnknownSession, "", nil)
	case s.ws != nil:
		s.mu.Unlock()
		return refuse(r, CodeBadRequest, "TRANSPORT_MISMATCH", nil)
	case s.poll != nil:
		s.mu.Unlock()
		return s.overlap(r)
	}
	s.poll = p
	if s.expected != nil {
		close(s.expected)
		s.expected = nil
	}
	if len(s.queue) > 0 {
		s.releasePoll()
	}
	s.mu.Unlock()

	patient := patience(w, r)
	if err := s.waitPoll(r.Context(), p); err != nil {
		s.end(ReasonTransportError, err, broken)
		return nil
	}
	patient.over()
	if p.refused != nil {
		p.refused.Request = r
		return p.refused
	}
	if err := s.writePoll(w, r, q, p.items); err != nil {
		s.end(ReasonTransportError, err, broken)
	}
	s.answered()
	if s.closed.Load() {
		s.vanishIfSaid()
	}
	return nil
}

// answered notes when a request of the client was.
func (s *Socket) answered() {
	s.mu.Lock()
	s.away = time.Now()
	s.mu.Unlock()
}

// overlap ends a session of which two polls are here at once. If the client has
// given up the one that came last, a busy machine has mixed them up: then it is
// the other one that came after the end.
func (s *Socket) overlap(r *http.Request) *ConnectionError {
	late := time.NewTimer(givenUp)
	defer late.Stop()
	select {
	case <-late.C:
	case <-r.Context().Done():
	}
	if r.Context().Err() != nil {
		s.end(ReasonTransportError, errPollAborted, broken)
	} else {
		s.end(ReasonTransportError, errOverlap, abrupt)
	}
	return refuse(r, CodeBadRequest, "OVERLAP", errOverlap)
}

// patient suspends the timeouts of an http.Server while a request waits.
type patient struct {
	rc    *http.ResponseController // nil if there are none
	write time.Duration
}

// patience begins to suspend the timeouts; over ends it.
func patience(w http.ResponseWriter, r *http.Request) patient {
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok || server.ReadTimeout <= 0 && server.WriteTimeout <= 0 {
		return patient{}
	}
	p := patient{http.NewResponseController(w), server.WriteTimeout}
	// A ResponseWriter without deadlines has no timeouts either.
	p.rc.SetReadDeadline(time.Time{})
	p.rc.SetWriteDeadline(time.Time{})
	return p
}

func (p patient) over() {
	if p.rc != nil && p.write > 0 {
		p.rc.SetWriteDeadline(time.Now().Add(p.write))
	}
}

// waitPoll waits until the poll has been given packets.
func (s *Socket) waitPoll(ctx context.Context, p *poll) error {
	select {
	case <-p.ready:
		return nil
	default:
	}
	select {
	case <-p.ready:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poll == p {
		s.poll = nil
	}
	return errPollAborted
}

// releasePoll gives all that is queued to the waiting poll; mu is held.
func (s *Socket) releasePoll() {
	p := s.poll
	if p == nil {
		return
	}
	s.poll = nil
	p.items = s.take(nil)
	p.ready <- struct{}{}
}

// refusePoll refuses the poll that waits, if one does; mu is held.
func (s *Socket) refusePoll(code Code, context string) {
	if p := s.poll; p != nil {
		s.poll = nil
		p.refused = refuse(nil, code, context, nil)
		p.ready <- struct{}{}
	}
}

// vanishIfSaid ends a closing session whose farewell has been fetched.
func (s *Socket) vanishIfSaid() {
	s.mu.Lock()
	said := s.state == closing && s.ws == nil && len(s.queue) == 0
	s.mu.Unlock()
	if said {
		s.vanish()
	}
}

// awaitPoll waits for the poll that a client has under way when it closes its
// session: it left before the close packet did, but may come after it.
func (s *Socket) awaitPoll() {
	s.mu.Lock()
	if s.poll != nil || s.state != open {
		s.mu.Unlock()
		return
	}
	expected := make(chan struct{})
	s.expected = expected
	s.mu.Unlock()
	select {
	case <-expected:
	case <-time.After(pollUnderWay):
	}
}

// farewellPolling says goodbye to the poll that waits, or to the next one. A
// server that shuts down only lets go of it: the client finds at its next poll
// that the session is gone, and begins another with whoever serves then. A
// close packet some take for good (python-engineio).
func (s *Socket) farewellPolling(how ending, reason Reason) {
	s.mu.Lock()
	switch how {
	case graceful, abrupt:
		goodbye := closePacket
		if reason == ReasonShutdown {
			goodbye = noopPacket
		}
		s.push(item{packet: goodbye})
	case byPeer:
		s.clear()
		s.push(item{packet: noopPacket})
	case broken:
		s.refusePoll(CodeUnknownSession, "")
	}
	waiting := s.poll != nil
	s.releasePoll()
	lingers := how == graceful && !waiting && s.state == closing
	if lingers {
		s.linger = time.AfterFunc(pollingLinger, s.vanish)
	}
	s.mu.Unlock()
	if !lingers {
		s.vanish()
	}
}

// writePoll writes packets as the answer to a poll.
func (s *Socket) writePoll(w http.ResponseWriter, r *http.Request, q *query, items []item) error {
	b := takeBody()
	defer b.release()
	contentType := textPlain
	if s.version == wire.V3 {
		b.data, contentType = appendPayload3(b.data, items, !s.base64 && !q.base64 && q.jsonp == "")
	} else {
		b.data = appendPayload4(b.data, items)
	}
	if hook := s.server.o.Hooks.Sent; hook != nil {
		hook(s, len(items), len(b.data))
	}
	if q.jsonp != "" {
		b.data, contentType = jsonpBody(b.data, q.jsonp), textScript
	}
	if !slices.ContainsFunc(items, func(it item) bool { return !it.plain }) {
		return s.server.respondPlain(w, r, contentType, b.data)
	}
	return s.server.respond(w, r, contentType, b.data)
}

func appendPayload4(dst []byte, items []item) []byte {
	for i, it := range items {
		if i > 0 {
			dst = append(dst, wire.Separator)
		}
		dst = append(dst, it.packet.payload4()...)
	}
	return dst
}

// appendPayload3 appends a version 3 payload, in its binary form if it has to
// and may be.
func appendPayload3(dst []byte, items []item, mayBinary bool) ([]byte, []string) {
	binary := false
	for _, it := range items {
		binary = binary || it.packet.binary()
	}
	if binary && mayBinary {
		for _, it := range items {
			dst = it.packet.appendBinaryPayload3(dst)
		}
		return dst, octetStream
	}
	for _, it := range items {
		dst = append(dst, it.packet.payload3()...)
	}
	return dst, textPlain
}

// servePost takes the packets that a client posts.
func (s *Socket) servePost(w http.ResponseWriter, r *http.Request, q *query) *ConnectionError {
	if err := s.beginPost(r); err != nil {
		return err
	}
	defer s.endPost()
	binary := strings.HasPrefix(r.Header.Get("Content-Type"), octetStream[0])
	if binary && s.version != wire.V3 {
		s.end(ReasonTransportError, errContentType, abrupt)
		return refuse(r, CodeBadRequest, "CONTENT_TYPE", errContentType)
	}
	b := takeBody()
	defer b.release()
	if err := s.readBody(w, r, b); err != nil {
		return s.bodyFailed(w, r, err)
	}
	payload := b.data
	if q.jsonp != "" {
		var err error
		if payload, err = jsonpPosted(b.data); err != nil {
			s.end(ReasonParseError, err, abrupt)
			return refuse(r, CodeBadRequest, "PARSE_ERROR", err)
		}
	}
	patient := patience(w, r)
	if err := s.payload(payload, binary); err != nil {
		s.end(ReasonParseError, err, abrupt)
		return refuse(r, CodeBadRequest, "PARSE_ERROR", err)
	}
	patient.over()
	if err := s.server.respond(w, r, textHTML, okBody); err != nil {
		s.end(ReasonTransportError, err, broken)
	}
	return nil
}

var okBody = []byte("ok")

func (s *Socket) beginPost(r *http.Request) *ConnectionError {
	s.mu.Lock()
	switch {
	case s.state != open:
		s.mu.Unlock()
		return refuse(r, CodeUnknownSession, "", nil)
	case s.ws != nil:
		s.mu.Unlock()
		return refuse(r, CodeBadRequest, "TRANSPORT_MISMATCH", nil)
	case s.posting:
		s.mu.Unlock()
		s.end(ReasonTransportError, errOverlap, abrupt)
		return refuse(r, CodeBadRequest, "OVERLAP", errOverlap)
	}
	s.posting = true
	s.mu.Unlock()
	return nil
}

func (s *Socket) endPost() {
	s.mu.Lock()
	s.posting, s.away = false, time.Now()
	s.mu.Unlock()
}

// readBody reads no more than is allowed, and no longer than a heartbeat may
// take.
func (s *Socket) readBody(w http.ResponseWriter, r *http.Request, b *body) error {
	limit := s.server.o.MaxPayload
	if r.ContentLength > limit {
		return errTooLarge
	}
	rc := http.NewResponseController(w)
	// Not every ResponseWriter knows deadlines, and in-memory ones need none.
	rc.SetReadDeadline(time.Now().Add(s.server.o.PingTimeout))
	for {
		if len(b.data) == cap(b.data) {
			b.data = append(b.data, 0)[:len(b.data)]
		}
		n, err := r.Body.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		switch {
		case int64(len(b.data)) > limit:
			return errTooLarge
		case err == io.EOF:
			// A failure leaves the deadline, as net/http goes on reading.
			rc.SetReadDeadline(time.Time{})
			return nil
		case err != nil:
			return err
		}
	}
}

var errTooLarge = errors.New("body larger than Options.MaxPayload")

func (s *Socket) bodyFailed(w http.ResponseWriter, r *http.Request, err error) *ConnectionError {
	if errors.Is(err, errTooLarge) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return nil
	}
	w.Header().Set("Connection", "close")
	s.end(ReasonTransportError, err, abrupt)
	return refuse(r, CodeBadRequest, "BODY", err)
}

// payload delivers the packets of a payload.
func (s *Socket) payload(data []byte, binary bool) error {
	packets := wire.Payload4(data)
	switch {
	case binary:
		packets = wire.BinaryPayload3(data)
	case s.version == wire.V3:
		packets = wire.Payload3(data)
	}
	s.heard()
	defer s.Uncork()
	s.delivery.Lock()
	defer s.delivery.Unlock()
	for p, err := range packets {
		if err != nil {
			return err
		}
		if !s.packet(p, p.Binary && !binary) {
			return nil
		}
		s.handWork()
	}
	return nil
}

// body is a pooled buffer for the body of a request or an answer.
type body struct{ data []byte }

// keptBody is the size up to which a buffer goes back to the pool.
const keptBody = 64 << 10

var bodies = sync.Pool{New: func() any { return &body{data: make([]byte, 0, 2<<10)} }}

func takeBody() *body { return bodies.Get().(*body) }

func (b *body) release() {
	if cap(b.data) <= keptBody {
		b.data = b.data[:0]
		bodies.Put(b)
	}
}
