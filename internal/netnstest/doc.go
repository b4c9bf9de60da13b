// Package netnstest builds networks out of namespaces, veth pairs and bridges
// for tests, and runs Go functions and programs inside them.
//
// A namespace has no name and no mount: it exists as long as the test process
// (or a program started in it) holds it, so that a killed test leaves nothing
// behind, and interface names may be the same in every test and every run.
//
//	lan, dev := netnstest.New(t), netnstest.New(t)
//	netnstest.Veth(t, lan, "port0", dev, "eth0")
//	lan.Bridge("br0", "port0")
//	lan.Addr("br0", "10.82.1.1/24")
//	lan.Daemon("dnsmasq", "-k", "-C", conf)
//	dev.Do(func() { conn, err = net.ListenPacket("udp4", ":5353") })
//
// Sockets belong to the namespace in which they were made, whichever goroutine
// uses them later. A goroutine started by a function given to [NS.Do] is not in
// the namespace: what opens sockets in goroutines of its own is best tested as
// a program, by re-executing the test binary with [NS.Command].
//
// Everything here needs root (see internal/need).
package netnstest
