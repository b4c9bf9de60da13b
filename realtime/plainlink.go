package realtime

import (
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"server22.local/appliance/realtime/engineio"
	"server22.local/appliance/realtime/packet"
)

// plainLink is a WebSocket as the link of a conn. Two goroutines serve it: the
// handler's reads, another one writes.
type plainLink struct {
	server  *Server
	ws      *websocket.Conn
	request *http.Request
	done    chan struct{}
	wake    chan struct{} // has a value if there is something to write

	mu     sync.Mutex // guards all following
	queue  [][]byte
	bytes  int // of queue, and of what is being written
	ended  bool
	reason Reason
}

func newPlainLink(s *Server, ws *websocket.Conn, r *http.Request) *plainLink {
	return &plainLink{server: s, ws: ws, request: r, done: make(chan struct{}), wake: make(chan struct{}, 1)}
}

func (l *plainLink) ID() string { return "" }

func (l *plainLink) Request() *http.Request { return l.request }

func (l *plainLink) Transport() string { return "plain" }

func (l *plainLink) Done() <-chan struct{} { return l.done }

// Cork and Uncork do nothing: the writer gathers by itself.
func (l *plainLink) Cork() {}

func (l *plainLink) Uncork() {}

// Work implements link.
func (l *plainLink) Work(w engineio.Worker) { l.server.workers.Work(w) }

// Yield does nothing: nothing waits for those who work.
func (l *plainLink) Yield() {}

// QueuedBytes implements link.
func (l *plainLink) QueuedBytes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes
}

// Send implements link: it queues the text of the packet.
func (l *plainLink) Send(p *engineio.Packet, o engineio.SendOptions) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || o.Volatile && l.bytes > 0 {
		return false
	}
	if l.bytes > 0 && l.bytes+p.Size() > l.server.queueBytes() {
		if !l.server.o.Engine.Queue.DropNewest && !o.Volatile {
			l.end(ReasonQueueFull)
		}
		return false
	}
	for _, m := range p.Messages() {
		l.queue = append(l.queue, m.Data)
		l.bytes += len(m.Data)
	}
	l.signal()
	return true
}

func (l *plainLink) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Close implements link: what is queued is still written.
func (l *plainLink) Close(reason Reason) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(reason)
}

// lastWords is how long a client may take for what is queued when its link is
// over.
const lastWords = 5 * time.Second

// end says that the link is over; mu is held.
func (l *plainLink) end(reason Reason) {
	if !l.ended {
		l.ended, l.reason = true, reason
		close(l.done)
		time.AfterFunc(lastWords, func() { l.ws.Close() })
	}
}

// serve reads until the connection ends.
func (l *plainLink) serve(namespace string) {
	c := newConn(l.server, l)
	c.plain, c.codec = true, plainCodec
	c.decoder = packet.Plain.NewDecoder(l.server.o.Limits)
	c.join(&packet.Packet{Type: packet.Connect, Namespace: namespace, Payload: queryAuth(l.request)}, "")

	var writer sync.WaitGroup
	writer.Go(l.write)
	err := l.read(c, namespace)
	l.Close(ReasonTransportClose)
	writer.Wait()
	l.mu.Lock()
	reason := l.reason
	l.mu.Unlock()
	c.Closed(reason, err)
}

// The heartbeat of plain connections: a ping that must be answered, or be
// followed by anything else, before the next but one.
func (l *plainLink) heartbeat() (interval, patience time.Duration) {
	interval, patience = engineio.DefaultPingInterval, engineio.DefaultPingTimeout
	if d := l.server.o.Engine.PingInterval; d > 0 {
		interval = d
	}
	if d := l.server.o.Engine.PingTimeout; d > 0 {
		patience = d
	}
	return interval, patience
}

func (l *plainLink) read(c *conn, namespace string) error {
	interval, patience := l.heartbeat()
	alive := func() error { return l.ws.SetReadDeadline(time.Now().Add(interval + patience)) }
	l.ws.SetPongHandler(func(string) error { return alive() })
	limit := l.server.o.Engine.MaxPayload
	if limit == 0 {
		limit = engineio.DefaultMaxPayload
	}
	l.ws.SetReadLimit(limit)
	for {
		if err := alive(); err != nil {
			return err
		}
		kind, data, err := l.ws.ReadMessage()
		if err != nil {
			return err
		}
		p, err := c.decoder.Decode(packet.Frame{Data: data, Binary: kind == websocket.BinaryMessage})
		if err != nil {
			c.violated(err)
			return err
		}
		p.Namespace = namespace
		c.packet(p)
	}
}

// write writes what is queued, and pings, until the link is over; then it says
// so to the client and closes the connection, which ends the reader.
func (l *plainLink) write() {
	interval, patience := l.heartbeat()
	ping := time.NewTicker(interval)
	defer ping.Stop()
	defer l.ws.Close()
	for {
		var err error
		select {
		case <-l.wake:
			err = l.writeQueued(patience)
		case <-ping.C:
			err = l.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(patience))
		case <-l.done:
			if l.writeQueued(time.Second) == nil {
				l.ws.WriteControl(websocket.CloseMessage, l.closeFrame(), time.Now().Add(time.Second))
			}
			return
		}
		if err != nil {
			l.Close(ReasonTransportError)
			return
		}
	}
}

func (l *plainLink) writeQueued(timeout time.Duration) error {
	l.mu.Lock()
	queue := l.queue
	l.queue = nil
	l.mu.Unlock()
	for _, text := range queue {
		if err := l.ws.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return err
		}
		if err := l.ws.WriteMessage(websocket.TextMessage, text); err != nil {
			return err
		}
		l.mu.Lock()
		l.bytes -= len(text)
		l.mu.Unlock()
	}
	return nil
}

// closeFrame tells the client why, in the codes of RFC 6455 §7.4.1.
func (l *plainLink) closeFrame() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	code := websocket.CloseNormalClosure
	switch l.reason {
	case ReasonShutdown:
		code = websocket.CloseGoingAway
	case ReasonParseError:
		code = websocket.CloseUnsupportedData
	case ReasonQueueFull:
		code = websocket.ClosePolicyViolation
	}
	return websocket.FormatCloseMessage(code, string(l.reason))
}
