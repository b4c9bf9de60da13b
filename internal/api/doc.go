// Package api is the ways to the bus and to the chat that need no Socket.IO:
// plain HTTP with streams, and WebSocket with one JSON object a frame.
//
// A value means the same on every way in and out; bus.ParseValue says what a
// body means, bus.Message how it is written. The handlers trust that whoever
// mounts them has looked at Host, Origin and the address already.
package api
