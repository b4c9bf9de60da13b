package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"server22.local/appliance/realtime/engineio/wire"
)

// writeBuffer is the size of a WebSocket write buffer in bytes: larger
// messages go out in several frames. The buffers are shared by all connections
// and held only while something is written.
const writeBuffer = 32 << 10

// compressFrom is the size in bytes from which a message is compressed, if that
// was agreed: that of the official client. Smaller ones would rather grow.
const compressFrom = 1024

// closeGrace is how long a close frame may take.
const closeGrace = time.Second

// socketTransport carries a packet a frame.
type socketTransport struct {
	ws    *websocket.Conn
	cork  *corked
	ended sync.Once
	buf   []byte // the reader's, reused

	mu    sync.Mutex // guards pings
	pings []chan struct{}
}

func openWebSocket(ctx context.Context, o Options, u *url.URL) (transport, handshake, error) {
	t, err := dialWebSocket(ctx, o, u, "")
	if err != nil {
		return nil, handshake{}, err
	}
	stop := context.AfterFunc(ctx, t.abort)
	defer stop()
	batch, err := t.receive(ctx)
	if err != nil {
		t.abort()
		return nil, handshake{}, err
	}
	h, err := parseHandshake(batch[0])
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		t.abort()
		return nil, handshake{}, err
	}
	return t, h, nil
}

func dialWebSocket(ctx context.Context, o Options, u *url.URL, sid string) (*socketTransport, error) {
	t := new(socketTransport)
	// gorilla heeds the deadline of a context but not its end.
	stop := func() bool { return true }
	dialer := websocket.Dialer{
		NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := o.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			t.cork = &corked{Conn: conn}
			stop = context.AfterFunc(ctx, func() { conn.Close() })
			return t.cork, nil
		},
		TLSClientConfig:   o.TLS,
		Proxy:             o.Proxy,
		Jar:               o.Jar,
		EnableCompression: o.Compression,
		WriteBufferSize:   writeBuffer,
		WriteBufferPool:   &writeBuffers,
	}
	to := endpoint(u, o, WebSocket, sid)
	to.Scheme = strings.Replace(to.Scheme, "http", "ws", 1)
	ws, resp, err := dialer.DialContext(ctx, to.String(), o.Header)
	if !stop() && err == nil {
		ws.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, dialError(resp, err)
	}
	ws.SetReadLimit(o.MaxMessage)
	ws.SetPongHandler(t.pong)
	t.ws = ws
	return t, nil
}

// writeBuffers is shared by all connections, as gorilla's documentation
// advises: an idle connection holds none.
var writeBuffers sync.Pool

func dialError(resp *http.Response, err error) error {
	if resp == nil || !errors.Is(err, websocket.ErrBadHandshake) {
		return err
	}
	body, _ := io.ReadAll(resp.Body) // gorilla keeps the first KiB there
	return httpError(resp.StatusCode, body)
}

func (t *socketTransport) name() string { return WebSocket }

func (t *socketTransport) abort() {
	t.ended.Do(func() { t.ws.Close() })
}

func (t *socketTransport) receive(context.Context) ([]wire.Packet, error) {
	kind, r, err := t.ws.NextReader()
	if err != nil {
		return nil, readError(err)
	}
	data, err := t.readAll(r)
	if err != nil {
		return nil, readError(err)
	}
	if kind == websocket.TextMessage && !utf8.Valid(data) {
		t.sayClose(websocket.CloseInvalidFramePayloadData)
		return nil, errors.New("server sent text that is not UTF-8")
	}
	p, err := wire.ParseFrame(wire.V4, kind == websocket.BinaryMessage, data)
	if err != nil {
		return nil, err
	}
	return []wire.Packet{p}, nil
}

// maxKept is the largest reading buffer that stays with an idle connection.
const maxKept = 16 << 10

// readAll reads by way of a buffer that is reused, so that the message itself
// is allocated once and in its size.
func (t *socketTransport) readAll(r io.Reader) ([]byte, error) {
	buf := t.buf[:0]
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if cap(buf) > maxKept {
		t.buf = nil
		return buf, nil
	}
	t.buf = buf
	return append([]byte(nil), buf...), nil
}

// readError tells an orderly end from a broken stream.
func readError(err error) error {
	closed, ok := errors.AsType[*websocket.CloseError](err)
	switch {
	case ok && closed.Code == websocket.CloseAbnormalClosure, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrServerClosed
	case ok:
		return fmt.Errorf("%w (code %d %s)", ErrServerClosed, closed.Code, closed.Text)
	}
	return fmt.Errorf("reading from the websocket: %w", err)
}

// send writes the batch in one go.
func (t *socketTransport) send(ctx context.Context, batch []wire.Packet) error {
	t.cork.hold()
	for _, p := range batch {
		if err := t.sendPacket(p); err != nil {
			t.cork.release()
			return fmt.Errorf("writing to the websocket: %w", err)
		}
	}
	if err := t.cork.release(); err != nil {
		return fmt.Errorf("writing to the websocket: %w", err)
	}
	return nil
}

func (t *socketTransport) sendPacket(p wire.Packet) error {
	t.ws.EnableWriteCompression(len(p.Data) >= compressFrom)
	if p.Binary {
		return t.ws.WriteMessage(websocket.BinaryMessage, p.Data)
	}
	w, err := t.ws.NextWriter(websocket.TextMessage)
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte{p.Type.Digit()}); err != nil {
		return err
	}
	if _, err := w.Write(p.Data); err != nil {
		return err
	}
	return w.Close()
}

// ping has pong closed when the server has answered a ping frame, hence read
// all that was written before.
func (t *socketTransport) ping(pong chan struct{}) error {
	t.mu.Lock()
	t.pings = append(t.pings, pong)
	t.mu.Unlock()
	return t.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(closeGrace))
}

// pong is called by the reader. A server may answer several pings at once
// (RFC 6455 §5.5.3).
func (t *socketTransport) pong(string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, pong := range t.pings {
		close(pong)
	}
	t.pings = nil
	return nil
}

func (t *socketTransport) bye(context.Context) error {
	return t.sayClose(websocket.CloseNormalClosure)
}

func (t *socketTransport) sayClose(code int) error {
	err := t.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(closeGrace))
	if errors.Is(err, websocket.ErrCloseSent) {
		return nil
	}
	return err
}

// corked is a net.Conn that can hold back what is written, so that several
// frames leave in one system call.
type corked struct {
	net.Conn

	mu   sync.Mutex // guards all following fields
	held bool
	buf  []byte
}

// maxHeld is how much is held back before it is written after all.
const maxHeld = 64 << 10

func (c *corked) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.held {
		return c.Conn.Write(p)
	}
	c.buf = append(c.buf, p...)
	if len(c.buf) < maxHeld {
		return len(p), nil
	}
	return len(p), c.flush()
}

func (c *corked) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = true
}

func (c *corked) release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = false
	return c.flush()
}

func (c *corked) flush() error {
	if len(c.buf) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.buf)
	c.buf = c.buf[:0]
	if cap(c.buf) > maxKept {
		c.buf = nil
	}
	return err
}
