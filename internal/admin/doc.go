// Package admin is the administrator: how the appliance is claimed with a code
// that only somebody beside it can see, the password and the sessions that
// follow, and the HTTP API that they open. The command line uses the same API
// over the control socket, where the kernel says who asks.
package admin
