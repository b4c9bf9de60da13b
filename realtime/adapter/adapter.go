package adapter

import (
	"context"
	"encoding/json"

	"server22.local/appliance/realtime/packet"
	"server22.local/appliance/realtime/recovery"
)

// Adapter keeps the rooms of one namespace.
//
// Methods that reach out to other servers take a context and return an error;
// those of the local half neither wait nor fail.
type Adapter interface {
	// AddAll puts a socket of this server into rooms, and Del and DelAll take
	// it out. DelAll is final: AddAll does nothing afterwards.
	AddAll(m Member, rooms ...string)
	Del(m Member, room string)
	DelAll(m Member)

	// Broadcast brings a packet to all sockets that the options choose.
	Broadcast(p *packet.Packet, o Options)

	// BroadcastWithAck is Broadcast of a packet with an id. expect is called
	// once per server with the ids of the sockets that were sent to (before
	// they are, on this server), and then answer with what became of each
	// socket of another server, a server that was lost included; what becomes
	// of those of this server is known without. Neither is called after ctx
	// has ended.
	BroadcastWithAck(ctx context.Context, p *packet.Packet, o Options, expect func(ids []string), answer func(Answer)) error

	// Sockets calls yield for each socket of this server that the options
	// choose; an adapter must not hold a lock meanwhile.
	Sockets(o Options, yield func(Member) bool)

	// SocketRooms returns the rooms of a socket of this server, its own id
	// among them.
	SocketRooms(m Member) []string

	// Rooms returns the rooms of this server with the number of their members.
	Rooms() map[string]int

	// FetchSockets describes the sockets of all servers that the options
	// choose.
	FetchSockets(ctx context.Context, o Options) ([]SocketInfo, error)

	// AddSockets, DelSockets and DisconnectSockets do to the sockets of all
	// servers that the options choose what their names say.
	AddSockets(o Options, rooms []string)
	DelSockets(o Options, rooms []string)
	DisconnectSockets(o Options, how Closing)

	// ServerSideEmit brings an event to all other servers of the cluster. If
	// answer is not nil, it asks for acknowledgements, and returns when all
	// have answered or ctx has ended.
	ServerSideEmit(ctx context.Context, args []packet.Value, answer func(args []packet.Value)) error

	// ServerCount returns how many servers the cluster has, this one
	// included.
	ServerCount(ctx context.Context) (int, error)

	// PersistSession keeps a session for RestoreSession, which has m resume
	// it with the packets that it has missed since offset, puts m into the
	// rooms of the session and returns what was resumed; together with
	// broadcasts both are atomic: nothing is lost between them and nothing is
	// delivered twice. An adapter that cannot recover, or whose member does
	// not resume, returns ErrNoSession.
	PersistSession(s Session) error
	RestoreSession(m Member, pid, offset string) (*Restored, error)

	// Close ends what the adapter has begun with its namespace.
	Close() error
}

// Factory makes the adapter of a namespace. It starts nothing.
type Factory func(namespace string, local Local) Adapter

// Member is a socket of this server.
type Member interface {
	// ID is unique among the sockets of all servers.
	ID() string
	// Seat is where an adapter keeps what it knows of the member.
	Seat() *Seat
	// Resume gives the member a session, and with it another ID, before it is
	// in rooms where others find it. It returns false if the member cannot
	// take what it has missed.
	Resume(r *Restored) bool
}

// Local is the namespace on this server as its adapter sees it.
type Local interface {
	// Deliver sends a packet to sockets of this server. It does not block and
	// does not keep members.
	Deliver(members []Member, p *packet.Packet, f Flags)
	// Describe says to other servers what a socket is.
	Describe(m Member) SocketInfo
	// Disconnect ends a socket.
	Disconnect(m Member, how Closing)
	// ServerSide runs the handlers of an event that another server has
	// emitted. answer is nil if the other does not wait for one.
	ServerSide(args []packet.Value, answer func(args []packet.Value))
	// Expect has answer called for each of the members, once, with what
	// becomes of a broadcast that another server began: some time after, or
	// from within. An adapter calls it when the asker knows whom to expect,
	// and before Deliver, to which it gives the packet with this id in place
	// of the other server's; and stop when the asker no longer waits.
	Expect(members []Member, answer func(Answer)) (id uint64, stop func())
}

// Answer is what became of one receiver of a broadcast with acknowledgements.
type Answer struct {
	ID   string         `json:"id"`
	Args []packet.Value `json:"args,omitempty"` // of the acknowledgement
	Lost Loss           `json:"lost,omitempty"` // why there is none
}

// Loss is why a socket does not acknowledge, and will not; "" if it has.
type Loss string

// The losses.
const (
	LostDisconnected Loss = "disconnected" // the socket has ended
	LostDropped      Loss = "dropped"      // the connection did not take the packet
)

// Options chooses sockets: those in any of Rooms (all, if empty) and in none
// of Except. They are not changed once handed over.
type Options struct {
	Rooms  []string
	Except []string
	Flags  Flags
}

// Flags say how a packet is delivered.
type Flags struct {
	Volatile     bool // dropped where the connection is not ready
	Local        bool // not to other servers
	Uncompressed bool
	Offset       bool // the last argument is an offset, for those only who can recover
}

// Closing says what of a connection ends.
type Closing int

const (
	// CloseNamespace ends the socket, and leaves the connection to others.
	CloseNamespace Closing = iota
	// CloseConnection ends the connection with all its sockets.
	CloseConnection
)

// SocketInfo describes a socket, also of another server.
type SocketInfo struct {
	ID        string                     `json:"id"`
	Handshake json.RawMessage            `json:"handshake"`
	Rooms     []string                   `json:"rooms"`
	Data      map[string]json.RawMessage `json:"data"`
}

// Session is what is kept of a socket whose connection was lost.
type Session = recovery.Session

// Restored is a session that goes on.
type Restored struct {
	Session
	// Missed are the packets to send again, oldest first.
	Missed []*packet.Packet
}
