package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"server22.local/appliance/realtime/engineio/wire"
)

// swap lets the reader and the writer rest while the transport changes. There
// is at most one upgrade in the life of a connection, so it is used once.
type swap struct {
	asked  chan struct{} // closed: rest before touching the transport again
	over   chan struct{} // closed: go on
	reader rester
	writer rester
}

// rester is one of the two who rest.
type rester struct {
	resting chan struct{} // closed once it rests
	once    sync.Once
}

func newSwap() *swap {
	return &swap{
		asked:  make(chan struct{}),
		over:   make(chan struct{}),
		reader: rester{resting: make(chan struct{})},
		writer: rester{resting: make(chan struct{})},
	}
}

// rest returns at once, except while the transport is being changed.
func (s *swap) rest(ctx context.Context, who *rester) error {
	select {
	case <-s.asked:
	default:
		return nil
	}
	who.once.Do(func() { close(who.resting) })
	select {
	case <-s.over:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// mayUpgrade: the session started with polling, the server offers WebSocket,
// and WebSocket was not already tried.
func (c *Conn) mayUpgrade() bool {
	polling := slices.Index(c.opts.Transports, Polling)
	websocket := slices.Index(c.opts.Transports, WebSocket)
	return !c.opts.NoUpgrade && c.Transport() == Polling && websocket > polling &&
		slices.Contains(c.open.Upgrades, WebSocket)
}

// upgrade moves the session to WebSocket. If that fails before the server was
// told to switch, the session stays with polling and there is no error.
func (c *Conn) upgrade(ctx context.Context) error {
	ws, err := c.probe(ctx)
	if err != nil {
		c.opts.Logger.Debug("engine: staying with polling", "err", err)
		return nil
	}
	// Until the swap is over, only the end of ctx can end the rest of reader
	// and writer; ws is ours.
	stop := context.AfterFunc(ctx, ws.abort)
	defer stop()
	close(c.swap.asked)
	c.queue.nudge()
	for _, who := range []*rester{&c.swap.reader, &c.swap.writer} {
		select {
		case <-who.resting:
		case <-ctx.Done():
			ws.abort()
			return context.Cause(ctx)
		}
	}
	if err := ws.send(ctx, []wire.Packet{{Type: wire.Upgrade}}); err != nil {
		ws.abort()
		return fmt.Errorf("switching to websocket: %w", err)
	}
	c.mu.Lock()
	old := c.transport
	c.transport, c.upgraded = ws, true
	c.mu.Unlock()
	old.abort()
	close(c.swap.over)
	return nil
}

var errProbe = errors.New("server did not answer the probe")

// probe opens a WebSocket for the session and has the server answer on it.
func (c *Conn) probe(ctx context.Context) (*socketTransport, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	ws, err := dialWebSocket(ctx, c.opts, c.url, c.open.SID)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, ws.abort)
	defer stop()
	if err := ws.send(ctx, []wire.Packet{{Type: wire.Ping, Data: []byte("probe")}}); err != nil {
		ws.abort()
		return nil, err
	}
	batch, err := ws.receive(ctx)
	if err != nil {
		ws.abort()
		return nil, err
	}
	if p := batch[0]; p.Type != wire.Pong || string(p.Data) != "probe" || !stop() {
		ws.abort()
		return nil, errProbe
	}
	return ws, nil
}
