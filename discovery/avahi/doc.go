// Package avahi publishes a host and its services through the avahi-daemon of
// this machine, by D-Bus, where there is one: two responders on one host give
// two answers to each question, and get in each other's way.
//
// The daemon's own host name stays what it is: the name asked for is published
// beside it, with the addresses of each interface and without names of
// addresses, of which each can have only one. What another host has already is
// published as server22-2 or My Web (2), also after a restart; the name asked for
// is tried again after a while, and when Avahi hears that it is free. Instead,
// Avahi's own name can be left as the only one, or be replaced by ours.
//
// # Invariants
//
// Only an Avahi of our own network namespace is used. Everything belongs to the
// D-Bus connection: whatever happens to this process, Avahi takes it back.
package avahi
