package realtime_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"server22.local/appliance/realtime"
)

// reads is a connection that remembers what each read brought. All is read by
// one goroutine.
type reads struct {
	net.Conn
	all [][]byte
}

func (r *reads) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.all = append(r.all, bytes.Clone(p[:n]))
	return n, err
}

// TestGreetingLeavesAlone: what OnConnect emits is not in the read that brings
// the CONNECT, whose other frames a client may miss that adds its handlers when
// it is connected.
func TestGreetingLeavesAlone(t *testing.T) {
	io := realtime.New(realtime.Options{})
	io.OnConnect(func(s *realtime.Socket) { s.Emit("welcome") })
	url := serve(t, io)

	var conn *reads
	dialer := websocket.Dialer{NetDialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		conn = &reads{Conn: nc}
		return conn, err
	}}
	ws, _, err := dialer.Dial("ws"+strings.TrimPrefix(url, "http")+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	c := onWebSocket(t, ws)
	c.hear() // the handshake
	c.say("40")
	c.greeting()
	if got := conn.all[len(conn.all)-1]; bytes.Contains(got, []byte("welcome")) {
		t.Errorf("one read brought %q", got)
	}
	c.expect(`42["welcome"]`)
}
