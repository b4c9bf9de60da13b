package client_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"server22.local/appliance/realtime/client"
	"server22.local/appliance/realtime/realtimetest"
)

// Two thousand clients come, talk and go, 40 at a time, on all transports and
// with both parsers, while the network breaks again and again. Nothing of them
// stays, neither here (goleak looks at the end) nor in the server.
func TestChurn(t *testing.T) {
	t.Parallel()
	const clients, atATime = 2000, 40
	io := newServer(t, setup{parser: parsers[0]})
	server := realtimetest.NewServer(t, io)
	var left, talked atomic.Int64
	left.Store(clients)
	var work sync.WaitGroup
	for range atATime {
		work.Go(func() {
			for n := left.Add(-1); n >= 0; n = left.Add(-1) {
				o := server.Options()
				o.Transports = transports[n%3].list
				if err := visit(t, server.URL, o, int(n)); err != nil {
					t.Errorf("client %d: %v", n, err)
					return
				}
				if talked.Add(1)%50 == 0 {
					server.Cut()
				}
			}
		})
	}
	work.Wait()
	if talked.Load() != clients {
		t.Errorf("%d of %d clients were served", talked.Load(), clients)
	}
	for deadline := time.Now().Add(20 * time.Second); io.Engine().Clients() > 0 || io.Len() > 0 || len(io.Rooms()) > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("the server still has %d sessions, %d sockets, %d rooms", io.Engine().Clients(), io.Len(), len(io.Rooms()))
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// visit is one client's life. Asks are repeated while the network breaks.
func visit(t *testing.T, url string, o client.Options, n int) error {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	o.Retries, o.AckTimeout = 100, 5*time.Second
	c, err := client.New(url, o)
	if err != nil {
		return err
	}
	root, chat := c.Of("/"), c.Of("/chat")
	client.On(root, "said", func(context.Context, *client.Socket, string) error { return nil })
	ended := make(chan error, 1)
	go func() { ended <- c.Run(t.Context()) }()
	if _, err = client.Ask[any](ctx, root, "join", "everybody"); err == nil {
		_, err = client.Ask[[]byte](ctx, chat, "ask", []byte{byte(n)})
	}
	if n%10 == 0 {
		root.Emit("say", "everybody", "hello")
	}
	if n%3 == 0 {
		chat.Disconnect()
	}
	c.Close() // what is left over is of no interest
	<-ended
	return err
}
