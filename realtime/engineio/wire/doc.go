// Package wire is the Engine.IO protocol as bytes: packets as they stand in
// WebSocket messages, and payloads as they stand in the bodies of HTTP
// long-polling, in version 4 and version 3. Server and client share it.
//
// Version 4 (https://socket.io/docs/v4/engine-io-protocol/) writes a packet as
// a digit and text, or, when it is binary, as bare bytes in a binary WebSocket
// message and as "b" and base64 in a payload; a payload joins packets by the
// record separator U+001E.
//
// Version 3 keeps the type with binary packets too, and prefixes each packet
// of a payload with its length, counted as JavaScript counts: in UTF-16 code
// units. A payload with binary packets can take a second, binary form.
//
// Everything here is a pure function of its input and safe for concurrent use.
// Decoders never panic and never allocate more than a constant times what they
// were given.
package wire
