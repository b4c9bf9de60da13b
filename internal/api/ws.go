package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
	"golang.org/x/time/rate"

	"server22.local/appliance/internal/bus"
	"server22.local/appliance/internal/problem"
	"server22.local/appliance/realtime/history"
)

// How a quiet WebSocket is kept, and noticed to be dead.
const (
	pingEvery = 25 * time.Second
	pongWait  = 60 * time.Second
)

// upgrade makes a WebSocket of a request. The first subprotocol that is offered
// is taken: small clients offer one, and fail if it does not come back. The
// Origin was looked at by whoever mounts the handler.
func (a *API) upgrade(w http.ResponseWriter, r *http.Request) (*websocket.Conn, error) {
	if !websocket.IsWebSocketUpgrade(r) {
		w.Header().Set("Upgrade", "websocket")
		return nil, problem.New(http.StatusUpgradeRequired, "no_websocket", "this is a WebSocket", "new WebSocket(\"ws://HOST"+r.URL.Path+"\")")
	}
	u := websocket.Upgrader{
		CheckOrigin: func(*http.Request) bool { return true },
		Error: func(w http.ResponseWriter, r *http.Request, status int, reason error) {
			a.refuse(w, r, problem.New(status, "bad_handshake", reason.Error(), "use a WebSocket client"))
		},
		ReadBufferSize: 1024, WriteBufferSize: 1024,
	}
	if offered := websocket.Subprotocols(r); len(offered) > 0 {
		u.Subprotocols = offered[:1]
	}
	conn, err := u.Upgrade(w, r, nil)
	if err != nil {
		return nil, errAnswered
	}
	return conn, nil
}

// errAnswered says that the client was told already.
var errAnswered = errors.New("the handshake was refused")

// frame is what a client sends: one of subscribe, unsubscribe and topic.
type frame struct {
	Subscribe   []string      `json:"subscribe"`
	Since       history.Since `json:"since"`
	Unsubscribe []string      `json:"unsubscribe"`

	Topic    string          `json:"topic"`
	Data     json.RawMessage `json:"data"`
	Encoding string          `json:"encoding"` // "base64": data is bytes
	Retain   bool            `json:"retain"`
	Persist  bool            `json:"persist"`
	Volatile bool            `json:"volatile"`

	// ID, if there is one, asks for an answer, which carries it.
	ID json.RawMessage `json:"id"`
}

// reply is the answer to a frame that has an ID, or that is refused.
type reply struct {
	ID json.RawMessage `json:"id,omitempty"`
	*receipt
	Error any `json:"error,omitempty"`
}

// wire is one WebSocket on the bus.
type wire struct {
	api    *API
	conn   *websocket.Conn
	stream *bus.Stream
	limit  *rate.Limiter

	replies chan []byte
	ctx     context.Context // ends with the WebSocket
	end     func()

	mu sync.Mutex // held while a frame is written
}

// serveWS joins a WebSocket to the bus.
func (a *API) serveWS(w http.ResponseWriter, r *http.Request) {
	topics := r.URL.Query()["topic"]
	since, err := history.ParseSince(r.URL.Query().Get("since"))
	if err != nil {
		err = badRequest("bad_since", err.Error(), "since=41, since=10m, since=all")
	}
	stream := a.cfg.Bus.NewStream(0)
	defer stream.Close()
	if err == nil && len(topics) > 0 {
		err = stream.Subscribe(r.Context(), topics, since)
	}
	var conn *websocket.Conn
	if err == nil {
		conn, err = a.upgrade(w, r)
	}
	if err != nil {
		if !errors.Is(err, errAnswered) {
			a.refuse(w, r, err)
		}
		return
	}
	// The request's own context ends when its connection is taken over.
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	c := &wire{
		api: a, conn: conn, stream: stream, limit: rate.NewLimiter(rate.Limit(a.cfg.Rate), a.cfg.Burst),
		replies: make(chan []byte, 1024), ctx: ctx,
	}
	c.end = func() { cancel(); _ = conn.Close() } // it may be closed already
	c.run()
}

// run reads in this goroutine, and writes in two others.
func (c *wire) run() {
	var writing sync.WaitGroup
	writing.Go(c.writeMessages)
	writing.Go(c.writeReplies)
	c.read()
	c.end()
	writing.Wait()
}

func (c *wire) read() {
	c.conn.SetReadLimit(c.api.cfg.MaxBody*4/3 + 4096) // bytes are longer as base64
	alive := func(string) error { return c.conn.SetReadDeadline(time.Now().Add(pongWait)) }
	c.conn.SetPongHandler(alive)
	for {
		if alive("") != nil {
			return
		}
		kind, data, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		if kind == websocket.TextMessage && !utf8.Valid(data) {
			c.goodbye(websocket.CloseInvalidFramePayloadData, "text is UTF-8")
			return
		}
		if kind != websocket.TextMessage {
			c.answer(reply{Error: refusal(badRequest("bad_frame", "a frame with bytes", `send {"topic": "a", "data": "AAE=", "encoding": "base64"}`))})
			continue
		}
		c.frame(data)
	}
}

// frame does what one frame asks for.
func (c *wire) frame(data []byte) {
	var f frame
	if err := json.Unmarshal(data, &f); err != nil {
		c.answer(reply{Error: refusal(badRequest("bad_frame", "the frame is not a JSON object of ours", `{"subscribe": ["#"]} or {"topic": "a", "data": 1}`))})
		return
	}
	err := error(nil)
	switch {
	case !c.limit.Allow():
		err = problem.New(http.StatusTooManyRequests, "too_often", "too many frames at once", "send less often, or several values in one")
	case f.Subscribe != nil:
		err = c.stream.Subscribe(c.ctx, f.Subscribe, f.Since)
	case f.Unsubscribe != nil:
		c.stream.Unsubscribe(f.Unsubscribe)
	case f.Topic != "":
		err = c.publish(f)
		if err == nil {
			return // it is answered when it is done
		}
	default:
		err = badRequest("bad_frame", "the frame says nothing that is known here", `{"subscribe": ["#"]} or {"topic": "a", "data": 1}`)
	}
	if err != nil || f.ID != nil {
		c.answer(reply{ID: f.ID, Error: refusal(err)})
	}
}

func (c *wire) publish(f frame) error {
	value, err := f.value()
	if err != nil {
		return err
	}
	p := bus.Publication{Topic: f.Topic, Value: value, Retain: f.Retain, Persist: f.Persist, Volatile: f.Volatile}
	c.api.cfg.Bus.Publish(p, func(r bus.Receipt, err error) {
		if err != nil {
			c.answer(reply{ID: f.ID, Error: refusal(err)})
			return
		}
		if f.ID != nil {
			got := newReceipt(r)
			c.answer(reply{ID: f.ID, receipt: &got})
		}
	})
	return nil
}

func (f frame) value() (bus.Value, error) {
	switch {
	case f.Data == nil:
		return bus.Value{}, badRequest("no_data", "the frame has no data", `{"topic": "a", "data": 1}`)
	case f.Encoding == "":
		return bus.ParseValue(f.Data), nil
	case f.Encoding != "base64":
		return bus.Value{}, badRequest("bad_encoding", "an encoding that nobody knows here", `"encoding": "base64", or none`)
	}
	var bytes []byte
	if err := json.Unmarshal(f.Data, &bytes); err != nil {
		return bus.Value{}, badRequest("bad_encoding", "data is not base64", base64.StdEncoding.EncodeToString([]byte("hello"))+" is base64")
	}
	if bytes == nil {
		bytes = []byte{}
	}
	return bus.Value{Bytes: bytes}, nil
}

// refusal is the error of a refused frame, or nil.
func refusal(err error) any {
	if err == nil {
		return nil
	}
	return problem.NewRefusal(err)
}

// answer queues a reply. A client that asks and does not read is let go.
func (c *wire) answer(r reply) {
	text, err := json.Marshal(r)
	if err != nil {
		c.api.cfg.Logger.Error("encoding a reply", "err", err)
		return
	}
	select {
	case c.replies <- text:
	default:
		c.end()
	}
}

func (c *wire) writeReplies() {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		var err error
		select {
		case text := <-c.replies:
			err = c.write(text)
		case <-ping.C:
			err = c.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeWait))
		case <-c.api.done:
			c.goodbye(websocket.CloseGoingAway, "the server ends")
			c.end()
			return
		case <-c.ctx.Done():
			return
		}
		if err != nil {
			c.end()
			return
		}
	}
}

func (c *wire) writeMessages() {
	defer c.end()
	for {
		messages, err := c.stream.Next(c.ctx)
		if errors.Is(err, bus.ErrSlow) {
			c.goodbye(websocket.CloseTryAgainLater, err.Error())
		}
		if err != nil {
			return
		}
		for _, m := range messages {
			if c.write(m.JSON()) != nil {
				return
			}
		}
	}
}

func (c *wire) write(text []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
		return err
	}
	return c.conn.WriteMessage(websocket.TextMessage, text)
}

func (c *wire) goodbye(code int, why string) {
	_ = c.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, why), time.Now().Add(time.Second))
}
