// Package control is how the command line talks to the daemon: HTTP over a
// Unix socket, where the kernel says which user asks (SO_PEERCRED).
package control
