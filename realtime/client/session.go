package client

import (
	"context"

	"server22.local/appliance/realtime/client/engine"
	"server22.local/appliance/realtime/packet"
)

// session is one connection and the packets on it.
type session struct {
	client  *Client
	conn    *engine.Conn
	decoder packet.Decoder
	ctx     context.Context // ends with the connection
	cancel  context.CancelCauseFunc
	waits   *backoff // the loop's; touched only from the connection's reader
}

func newSession(ctx context.Context, c *Client, conn *engine.Conn, waits *backoff) *session {
	x := &session{client: c, conn: conn, decoder: c.opts.Parser.NewDecoder(c.opts.Limits), waits: waits}
	x.ctx, x.cancel = context.WithCancelCause(ctx)
	return x
}

// Message is called by the engine's reader. It implements [engine.Receiver].
func (x *session) Message(m engine.Message) error {
	p, err := x.decoder.Decode(packet.Frame{Data: m.Data, Binary: m.Binary})
	if err != nil || p == nil {
		return err
	}
	x.client.mu.Lock()
	s := x.client.find(p.Namespace)
	x.client.mu.Unlock()
	if s == nil {
		return nil // nobody here; socket.io-client ignores it too
	}
	if p.Type == packet.Connect {
		x.waits.attempts = 0
	}
	return s.receive(x, p)
}

// send writes frames that belong together.
func (x *session) send(frames []engine.Message, o engine.SendOptions) error {
	return x.conn.Send(o, frames...)
}

func (x *session) sendPacket(p *packet.Packet) error {
	frames, err := encode(x.client.opts.Parser, p)
	if err != nil {
		return err
	}
	return x.send(frames, engine.SendOptions{Accepted: true})
}

func encode(parser packet.Parser, p *packet.Packet) ([]engine.Message, error) {
	frames, err := parser.Encode(nil, p)
	if err != nil {
		return nil, err
	}
	messages := make([]engine.Message, len(frames))
	for i, f := range frames {
		messages[i] = engine.Message{Data: f.Data, Binary: f.Binary}
	}
	return messages, nil
}
