// Package packet turns Socket.IO packets into messages and back, for servers
// and for clients: protocol 5 as JSON with binary attachments, and as
// MessagePack in the form of socket.io-msgpack-parser.
//
// A [Packet] keeps the arguments of an event as the JSON text in which they
// came. Nothing is decoded until somebody asks for a Go value ([Value.Decode]),
// so that an argument that is only passed on costs a copy and nothing else.
// Bytes stand apart: in the JSON text of an argument a placeholder
//
//	{"_placeholder":true,"num":0}
//
// stands for the first attachment of the packet. Whoever emits or decodes does
// not meet placeholders: a []byte anywhere in an emitted Go value becomes an
// attachment, and an attachment becomes a []byte in the value that it is
// decoded into, also where that is an any.
//
// Both parsers have the same model, so a packet that came as JSON can leave as
// MessagePack. They are strict: what they accept is valid by the protocol,
// within [Limits], and safe to pass on to other clients.
//
// Parsers are stateless and safe for concurrent use. A [Decoder] puts the
// messages of one connection together and belongs to one goroutine at a time.
//
// Sources: socketio/socket.io docs/socket.io-protocol (revision 5), and the
// packages socket.io-parser 4.2.7 and socket.io-msgpack-parser 3.0.2.
package packet
