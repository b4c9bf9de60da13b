// Package relay is what front ends made elsewhere find on the server: a
// namespace in which clients reach each other with events of their own
// ([Relay]), and the events of Socket.IO's tutorial ([Tutorial]) and of its
// chat example ([Example]), so that their pages work as they are.
package relay
