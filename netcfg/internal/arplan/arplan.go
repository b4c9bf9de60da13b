// Package arplan is a LAN in memory for the tests of protocols over ARP. It
// works in bubbles of testing/synctest.
package arplan

import (
	"context"
	"net/netip"
	"sync"

	"server22.local/appliance/netcfg/acd"
)

// LAN delivers what one of its conns sends to all the others.
type LAN struct {
	mu    sync.Mutex // guards all following fields
	conns map[*Conn]struct{}
	// sent is everything that was sent, in order.
	sent []acd.Packet
}

// Join connects to the LAN.
func (l *LAN) Join() *Conn {
	c := &Conn{lan: l, packets: make(chan acd.Packet, 64)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns == nil {
		l.conns = make(map[*Conn]struct{})
	}
	l.conns[c] = struct{}{}
	return c
}

// Sent returns what was sent since the last call.
func (l *LAN) Sent() []acd.Packet {
	l.mu.Lock()
	defer l.mu.Unlock()
	sent := l.sent
	l.sent = nil
	return sent
}

// Conn is a place on the LAN.
type Conn struct {
	lan     *LAN
	packets chan acd.Packet
}

// Send implements acd.Conn. A full receiver misses the packet, as on a LAN.
func (c *Conn) Send(p acd.Packet) error {
	c.lan.mu.Lock()
	defer c.lan.mu.Unlock()
	c.lan.sent = append(c.lan.sent, p)
	for other := range c.lan.conns {
		if other == c {
			continue
		}
		select {
		case other.packets <- p:
		default:
		}
	}
	return nil
}

// Receive implements acd.Conn.
func (c *Conn) Receive(ctx context.Context) (acd.Packet, error) {
	select {
	case p := <-c.packets:
		return p, nil
	case <-ctx.Done():
		return acd.Packet{}, ctx.Err()
	}
}

// Close implements acd.Conn.
func (c *Conn) Close() error {
	c.lan.mu.Lock()
	defer c.lan.mu.Unlock()
	delete(c.lan.conns, c)
	return nil
}

// Own answers probes and requests for an address until ctx ends, as a host that
// has it.
func (l *LAN) Own(ctx context.Context, mac acd.MAC, addr netip.Addr) {
	conn := l.Join()
	defer conn.Close()
	for {
		p, err := conn.Receive(ctx)
		if err != nil {
			return
		}
		if p.Op == acd.Request && p.Target == addr && p.SenderMAC != mac {
			_ = conn.Send(acd.Packet{Op: acd.Reply, SenderMAC: mac, Sender: addr, TargetMAC: p.SenderMAC, Target: p.Sender})
		}
	}
}
