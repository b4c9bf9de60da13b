package httpd

import (
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"server22.local/appliance/internal/problem"
)

// What a stranger may make us keep or wait for.
const (
	// maxHeader is more than any browser sends, with all its cookies.
	maxHeader = 32 << 10
	// headerTimeout ends connections that do not say what they want.
	headerTimeout = 10 * time.Second
	// idleTimeout ends connections that may say something more, and do not.
	idleTimeout = 75 * time.Second
	// bodyTimeout is for a whole body; at 1 MB that is 33 kB/s. A larger one
	// has as much more time.
	bodyTimeout = 30 * time.Second
	bodyRate    = 1 << 20 / 30 // bytes a second
)

// bodyLimits say how large a body may be, in bytes.
type bodyLimits struct {
	usual   int64
	uploads map[string]int64 // by path
}

func (l bodyLimits) of(r *http.Request) int64 {
	if limit, ok := l.uploads[r.URL.Path]; ok {
		return limit
	}
	return l.usual
}

// patience is how long a body may take.
func patience(length int64) time.Duration {
	return bodyTimeout + time.Duration(max(0, length/bodyRate))*time.Second
}

// limitBody bounds a request's body in size and time. Reading of what follows
// (nothing, or a hijacked stream) is not bounded.
func limitBody(limits bodyLimits, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit := limits.of(r)
		if r.ContentLength > limit {
			problem.Write(w, problem.New(http.StatusRequestEntityTooLarge, "too_large",
				"the body is larger than this device takes", "realtime.max_payload is the limit"))
			return
		}
		if r.Body != nil && r.Body != http.NoBody {
			rc := http.NewResponseController(w)
			if rc.SetReadDeadline(time.Now().Add(patience(r.ContentLength))) == nil {
				r.Body = &timedBody{ReadCloser: http.MaxBytesReader(w, r.Body, limit), done: func() { _ = rc.SetReadDeadline(time.Time{}) }}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// timedBody lifts the deadline when the body has been read.
type timedBody struct {
	io.ReadCloser
	done func()
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.done()
	}
	return n, err
}

// connLimit counts the connections that net/http serves. Those that were
// hijacked (WebSockets) are no longer its own; the realtime server has its own
// limit for them.
type connLimit struct {
	max      int64
	open     atomic.Int64
	rejected atomic.Int64
	empty    chan struct{} // holds one, if open has come to nothing
}

// connState is http.Server.ConnState.
func (c *connLimit) connState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.open.Add(1)
	case http.StateHijacked, http.StateClosed:
		if c.open.Add(-1) == 0 {
			select {
			case c.empty <- struct{}{}:
			default:
			}
		}
	}
}

// drain waits until no connection is open, and no longer than the limit.
func (c *connLimit) drain(limit time.Duration) {
	over := time.NewTimer(limit)
	defer over.Stop()
	for c.open.Load() > 0 {
		select {
		case <-c.empty:
		case <-over.C:
			return
		}
	}
}

// listen wraps a listener: while too many connections are open, one more is
// closed at once, since waiting in the backlog would look like a hang. The
// connections themselves are not wrapped, so that the realtime server gets
// the system's own.
func (c *connLimit) listen(l net.Listener) net.Listener { return &limitListener{l, c} }

type limitListener struct {
	net.Listener
	limit *connLimit
}

func (l *limitListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil || l.limit.open.Load() < l.limit.max {
			return conn, err
		}
		l.limit.rejected.Add(1)
		conn.Close()
	}
}
