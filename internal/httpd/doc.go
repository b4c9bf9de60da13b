// Package httpd is the appliance's front door: it listens, looks at who comes
// with what intention (Host, Origin, address, token), limits what a stranger
// can grow, and hands on to the parts behind: Socket.IO, the API, the user's
// own pages, the built-in pages.
//
// The order in which a request is looked at:
//
//	connection limit → Host (421) → access (403) → Origin (403) → body limits → mux
package httpd
