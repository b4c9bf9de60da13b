// Package recovery keeps what a client of Socket.IO has missed while its
// connection was lost: the packets of a namespace by their offsets, and the
// sessions that may come back.
//
// [Memory] keeps them as long as the process lives; another [Log] may keep
// them longer, so that clients go on with their sessions after a restart of
// the server.
package recovery
