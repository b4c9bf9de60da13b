package realtime

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"time"

	"server22.local/appliance/realtime/adapter"
)

// BroadcastOperator chooses sockets of a namespace and says how to reach them.
// It does not change: each of its methods that narrow the choice returns
// another one, so that one may be kept and shared. The zero value, which is of
// no namespace, chooses nobody, and fails with ErrNoNamespace where it can.
type BroadcastOperator struct {
	ns      *Namespace
	options adapter.Options
	timeout time.Duration
}

// To chooses the sockets in any of the rooms, in addition to those of rooms
// chosen before. A socket in several of them receives once. Without rooms it
// changes nothing: where none is named, all sockets are meant.
func (b BroadcastOperator) To(rooms ...string) BroadcastOperator {
	b.options.Rooms = append(slices.Clip(b.options.Rooms), rooms...)
	return b
}

// In is To, for sentences in which it reads better.
func (b BroadcastOperator) In(rooms ...string) BroadcastOperator { return b.To(rooms...) }

// Except leaves out the sockets that are in any of the rooms.
func (b BroadcastOperator) Except(rooms ...string) BroadcastOperator {
	b.options.Except = append(slices.Clip(b.options.Except), rooms...)
	return b
}

// Volatile drops the event for each receiver that cannot take it at once: for
// values that the next ones replace.
func (b BroadcastOperator) Volatile() BroadcastOperator {
	b.options.Flags.Volatile = true
	return b
}

// Local reaches the sockets of this server only, where there are several.
func (b BroadcastOperator) Local() BroadcastOperator {
	b.options.Flags.Local = true
	return b
}

// Uncompressed sends as it is where compression was agreed.
func (b BroadcastOperator) Uncompressed() BroadcastOperator {
	b.options.Flags.Uncompressed = true
	return b
}

// Timeout bounds how long AskAll waits for the receivers.
func (b BroadcastOperator) Timeout(d time.Duration) BroadcastOperator {
	b.timeout = d
	return b
}

// Emit sends an event to the chosen sockets. It does not wait for them; the
// arguments are encoded once. See Socket.Emit for the arguments and what
// happens to those receivers that are slow.
func (b BroadcastOperator) Emit(event string, args ...any) error {
	if b.ns == nil {
		return ErrNoNamespace
	}
	p, err := b.ns.event(nil, b.options, event, args)
	if err != nil {
		return unlessHeld(err)
	}
	b.ns.adapter.Broadcast(p, b.options)
	return nil
}

// Sockets yields the chosen sockets that are connected to this server.
func (b BroadcastOperator) Sockets() iter.Seq[*Socket] {
	return func(yield func(*Socket) bool) {
		if b.ns == nil {
			return
		}
		b.ns.adapter.Sockets(b.options, func(m adapter.Member) bool {
			s := m.(*Socket)
			return !s.Connected() || yield(s)
		})
	}
}

// Join puts the chosen sockets, of all servers, into rooms.
func (b BroadcastOperator) Join(rooms ...string) {
	if b.ns != nil {
		b.ns.adapter.AddSockets(b.options, rooms)
	}
}

// Leave takes the chosen sockets, of all servers, out of rooms.
func (b BroadcastOperator) Leave(rooms ...string) {
	if b.ns != nil {
		b.ns.adapter.DelSockets(b.options, rooms)
	}
}

// Disconnect ends the chosen sockets of all servers; see Socket.Disconnect.
func (b BroadcastOperator) Disconnect() { b.disconnect(adapter.CloseNamespace) }

// DisconnectAll ends the chosen sockets of all servers, their connections, and
// the other sockets on those; see Socket.DisconnectAll.
func (b BroadcastOperator) DisconnectAll() { b.disconnect(adapter.CloseConnection) }

func (b BroadcastOperator) disconnect(how adapter.Closing) {
	if b.ns != nil {
		b.ns.adapter.DisconnectSockets(b.options, how)
	}
}

// FetchSockets describes the chosen sockets of all servers.
func (b BroadcastOperator) FetchSockets(ctx context.Context) ([]RemoteSocket, error) {
	if b.ns == nil {
		return nil, ErrNoNamespace
	}
	infos, err := b.ns.adapter.FetchSockets(ctx, b.options)
	sockets := make([]RemoteSocket, len(infos))
	for i, info := range infos {
		sockets[i] = RemoteSocket{SocketInfo: info, BroadcastOperator: BroadcastOperator{ns: b.ns}.To(info.ID)}
	}
	return sockets, err
}

// RemoteSocket is a socket of any server of a cluster, as it was when it was
// fetched. Its methods reach it there: Emit, Join, Leave, Disconnect.
type RemoteSocket struct {
	adapter.SocketInfo
	BroadcastOperator
}

// describe is what other servers may know of the socket.
func (s *Socket) describe() adapter.SocketInfo {
	info := adapter.SocketInfo{ID: s.id, Rooms: s.Rooms(), Data: s.encodedData()}
	info.Handshake, _ = json.Marshal(s.Handshake()) // plain data, cannot fail
	return info
}

// encodedData leaves out what cannot be encoded.
func (s *Socket) encodedData() map[string]json.RawMessage {
	data := make(map[string]json.RawMessage)
	for key, value := range s.Data() {
		if text, err := json.Marshal(value); err == nil {
			data[key] = text
		}
	}
	return data
}

// To chooses the sockets in any of the rooms, except this one.
func (s *Socket) To(rooms ...string) BroadcastOperator { return s.Broadcast().To(rooms...) }

// In is To.
func (s *Socket) In(rooms ...string) BroadcastOperator { return s.To(rooms...) }

// Except chooses all sockets but this one and those in any of the rooms.
func (s *Socket) Except(rooms ...string) BroadcastOperator { return s.Broadcast().Except(rooms...) }

// Broadcast chooses all sockets of the namespace but this one.
func (s *Socket) Broadcast() BroadcastOperator {
	return BroadcastOperator{ns: s.ns, options: adapter.Options{Except: []string{s.id}}}
}
