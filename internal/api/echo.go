package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// serveEcho sends every message back as it came, of whatever length.
func (a *API) serveEcho(w http.ResponseWriter, r *http.Request) {
	conn, err := a.upgrade(w, r)
	if err != nil {
		if !errors.Is(err, errAnswered) {
			a.refuse(w, r, err)
		}
		return
	}
	defer conn.Close()
	ctx, cancel := a.until(context.WithoutCancel(r.Context()))
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-ctx.Done()
		goingAway(conn, a.done)
	}()
	for a.echo(conn) == nil {
	}
	cancel()
	<-ended
}

// goingAway ends a WebSocket that may be in the middle of anything.
func goingAway(conn *websocket.Conn, done <-chan struct{}) {
	select {
	case <-done:
		_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseGoingAway, "the server ends"), time.Now().Add(time.Second))
	default:
	}
	conn.Close()
}

// echo sends one message back while it comes in.
func (a *API) echo(conn *websocket.Conn) error {
	kind, in, err := conn.NextReader()
	if err != nil {
		return err
	}
	out, err := conn.NextWriter(kind)
	if err != nil {
		return err
	}
	from := in
	if kind == websocket.TextMessage {
		from = &utf8Reader{r: in}
	}
	buf := make([]byte, 4096)
	for err == nil {
		var n int
		n, err = from.Read(buf)
		if deadline := conn.SetWriteDeadline(time.Now().Add(writeWait)); deadline != nil {
			return deadline
		}
		if _, wrong := out.Write(buf[:n]); wrong != nil {
			return wrong
		}
	}
	if errors.Is(err, errNotUTF8) {
		_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseInvalidFramePayloadData, ""), time.Now().Add(time.Second))
		return err
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	return out.Close()
}

var errNotUTF8 = errors.New("text that is not UTF-8")

// utf8Reader fails when what it reads is not UTF-8 (RFC 6455 §8.1).
type utf8Reader struct {
	r    io.Reader
	rest []byte // the beginning of a character, less than utf8.UTFMax bytes
}

func (u *utf8Reader) Read(b []byte) (int, error) {
	n, err := u.r.Read(b)
	text := append(u.rest, b[:n]...)
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			if utf8.FullRune(text) || errors.Is(err, io.EOF) {
				return 0, errNotUTF8
			}
			break
		}
		text = text[size:]
	}
	u.rest = append(u.rest[:0], text...)
	if len(u.rest) > 0 && errors.Is(err, io.EOF) {
		return 0, errNotUTF8
	}
	return n, err
}
