// Package app is the composition root: it takes a configuration and makes of
// it a running appliance. Parts never know each other; what one of them says
// is handed to the others here.
//
// A start: state folder (made, locked, tried) → listeners → the parts that keep
// things → requests are answered, first lines on the terminal → all other parts,
// each supervised. An end: stop accepting, let go of clients, say goodbye on the
// network, then close the store.
package app
