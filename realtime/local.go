package realtime

import (
	"log/slog"
	"sync"

	"server22.local/appliance/realtime/adapter"
	"server22.local/appliance/realtime/engineio"
	"server22.local/appliance/realtime/packet"
)

// local is the namespace as its adapter sees it.
type local struct{ ns *Namespace }

var batches = sync.Pool{New: func() any { return new(engineio.Batch) }}

// Deliver implements adapter.Local: it encodes once for each parser, and
// writes when all receivers have the packet in their queues.
func (l local) Deliver(members []adapter.Member, p *packet.Packet, f adapter.Flags) {
	if len(members) == 0 {
		return
	}
	o := &l.ns.server.o
	if o.Hooks.Sent != nil {
		o.Hooks.Sent(l.ns.name, len(members))
	}
	forms := form{packet: p, offset: f.Offset}
	batch := batches.Get().(*engineio.Batch)
	defer func() { // in a panic of an observer too: what is in the batch waits for nobody else
		batch.Flush()
		batches.Put(batch)
	}()
	for _, m := range members {
		s := m.(*Socket)
		err := s.receive(&forms, f, batch)
		if err != nil && p.HasID {
			s.settle(p.ID, answered{err: err})
		}
		if err != nil && err != ErrDropped && err != ErrDisconnected {
			o.Logger.Error("encoding a broadcast", slog.String("nsp", l.ns.name), slog.Any("err", err))
			break
		}
	}
}

// Describe implements adapter.Local.
func (l local) Describe(m adapter.Member) adapter.SocketInfo { return m.(*Socket).describe() }

// Disconnect implements adapter.Local.
func (l local) Disconnect(m adapter.Member, how adapter.Closing) {
	if how == adapter.CloseConnection {
		m.(*Socket).DisconnectAll()
		return
	}
	m.(*Socket).Disconnect()
}

// ServerSide implements adapter.Local.
func (l local) ServerSide(args []packet.Value, answer func([]packet.Value)) {
	l.ns.serverSide(args, answer)
}

// Expect implements adapter.Local.
func (l local) Expect(members []adapter.Member, answer func(adapter.Answer)) (uint64, func()) {
	return l.ns.asks.forward(members, answer)
}
