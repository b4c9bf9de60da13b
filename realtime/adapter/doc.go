// Package adapter is the part of a Socket.IO server that knows which sockets
// of a namespace are in which rooms, and brings a packet to them: on this
// server ([Memory]), and, in adapters that others write, on all servers of a
// cluster.
//
// An adapter and its namespace talk through two interfaces. The namespace
// calls [Adapter]; the adapter calls [Local] for what has to happen to sockets
// of this server. An adapter for a cluster embeds *Memory for the local half,
// sends each command on to its peers, and runs the commands of peers on its
// *Memory. All that crosses the interface is plain data: packets, names of
// rooms, ids, options.
//
// Concurrency: all methods of Adapter are safe for concurrent use. No lock is
// held while Local is called, with the exception stated at [Recovering].
package adapter
