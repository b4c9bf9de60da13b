// Package neighbour finds out which other programs of this host answer for
// names, or have the ports that doing so needs: systemd-resolved, avahi-daemon,
// Samba. Two that answer for one name give every question two answers; one that
// does not share its port leaves the others deaf.
//
// It looks and changes nothing. All of it works without privileges, except that
// only root learns which program of another user has a port.
package neighbour
